"""Asks the witness, from outside of the containers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Any, Self

from services.core.chaos.containers.project import ROOT, ComposeProject, environment
from services.core.chaos.containers.questions import Question, dump_receipts, load_tally
from services.core.chaos.pulse import Look
from services.core.chaos.receipts import Receipts
from services.core.chaos.tally import Tally
from services.core.ledger.errors import LedgerUnavailable
from services.core.local.errors import StartFailed
from services.core.local.waiting import wait_until

WITNESS = "services.core.chaos.containers.witness"
START_SECONDS = 300.0
"""Two cores start fourteen containers."""
END_SECONDS = 10


class Asking:
    """A witness that answers inside the block; may be asked by several threads.

    Args:
        project: The containers among which it runs.
        workers: Those that it looks at.
    """

    def __init__(self, project: ComposeProject, workers: Sequence[str]) -> None:
        self._command = project.command(*in_container("-m", WITNESS, *workers))
        self._log = project.home / "logs" / "witness.log"
        self._lock = Lock()

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                self._command,
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process as witness:
            if witness.stdin is not None:
                with suppress(OSError):
                    witness.stdin.close()  # ends it
            with suppress(subprocess.TimeoutExpired):
                witness.wait(END_SECONDS)
            witness.kill()

    def wait_until_seen(self, names: Sequence[str]) -> None:
        """Wait until each of some processes has answered once.

        Raises:
            StartFailed: One did not in time.
        """
        missing = list(names)

        def all_seen() -> bool:
            missing[:] = [name for name in missing if self.look(name) is None]
            return not missing

        if not wait_until(all_seen, START_SECONDS, every=1):
            raise StartFailed(f"After {START_SECONDS:g} s these do not answer: {', '.join(missing)}.")

    def look(self, name: str) -> Look | None:
        """Look at a process."""
        seen = self._ask(Question.LOOK, of=name)
        return None if seen is None else Look(*seen)

    def in_flight(self, name: str) -> int:
        """Count what is in flight in a process."""
        seen = self.look(name)
        return 0 if seen is None else seen.active

    def arrived(self) -> int:
        """Count the messages that have arrived."""
        return int(self._ask(Question.ARRIVED))

    def check(self, receipts: Receipts) -> Tally:
        """Count what became of what was accepted.

        Raises:
            LedgerUnavailable: The database is out of reach.
        """
        return load_tally(self._ask(Question.CHECK, receipts=dump_receipts(receipts)))

    def dead_letters(self) -> int:
        """Count the dead letters.

        Raises:
            LedgerUnavailable: The database is out of reach.
        """
        return int(self._ask(Question.DEAD_LETTERS))

    def _ask(self, question: Question, **about: Any) -> Any:
        with self._lock:
            said = self._exchange(json.dumps({"question": question, **about}))
        if not said:
            raise StartFailed(f"The witness ended; see {self._log}.")
        answer = json.loads(said)
        if "unavailable" in answer:
            raise LedgerUnavailable(answer["unavailable"])
        return answer["answer"]

    def _exchange(self, line: str) -> str:
        asked, answers = self._process.stdin, self._process.stdout
        if asked is None or answers is None:
            return ""
        with suppress(OSError, ValueError):
            asked.write(f"{line}\n")
            asked.flush()
            return answers.readline()
        return ""


def in_container(*arguments: str) -> list[str]:
    """Return the words that run Python beside the fleet, with the rights of the command line."""
    return ["run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "python", "yard", *arguments]
