"""The work of a run on its way into what is put to the test, and the receipts for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

from services.core.chaos import samples
from services.core.chaos.amounts import Submission, What
from services.core.chaos.receipts import CampaignReceipt, JobReceipt, MailReceipt, Receipts
from services.core.local.processes import ChildProcess
from services.core.local.waiting import wait_until
from shared.errors import FleetError

CLIENT = "services.core.chaos.client"
LONGEST_SUBMISSION_SECONDS = 120.0
"""For a long list on a busy machine; nothing of a submission waits for a broker."""


class LoadFailed(FleetError):
    """What submits the work of a run ended before it had submitted everything; the run proves nothing."""


class Load(Protocol):
    """Submits the work of a run, each thing in its time."""

    receipts: Receipts
    slowest: float
    """Seconds that the slowest receipt took."""

    def wait(self, seconds: float) -> bool:
        """Wait until everything was submitted; return whether it was.

        Raises:
            LoadFailed: It never will be.
        """

    def stop(self) -> None:
        """Submit no more."""


class ClientLoad:
    """Submits through a program of its own, which no fault strikes.

    Args:
        plan: What to submit, in the order of its time.
        path: The file that the program reads it from.
        client: The program: ``services.core.chaos.client``.
    """

    def __init__(self, plan: Sequence[Submission], path: Path, client: ChildProcess) -> None:
        self.receipts = Receipts()
        self.slowest = 0.0
        self._plan, self._read = plan, 0
        path.write_text(json.dumps([asdict(submission) for submission in plan]))
        path.chmod(0o644)  # in a container another user reads it
        self._client = client
        self._client.start()

    def wait(self, seconds: float) -> bool:
        """Wait until everything was submitted; return whether it was.

        Raises:
            LoadFailed: The program ended before.
        """
        wait_until(lambda: not self._client.alive, seconds)
        ended = not self._client.alive
        self._take_receipts()
        if ended and self._read < len(self._plan):
            raise LoadFailed(f"The program that submits the work ended. {self._client.log_tail()}")
        return ended

    def stop(self) -> None:
        """Submit no more."""
        self._client.kill()
        self._take_receipts()

    def _take_receipts(self) -> None:
        whole, _, _ = self._client.output().rpartition("\n")
        lines = [line for line in whole.splitlines() if line.startswith("{")]
        for line in lines[self._read :]:
            self._take(json.loads(line))
        self._read = len(lines)

    def _take(self, said: dict[str, Any]) -> None:
        self.slowest = max(self.slowest, said["seconds"])
        if "refused" in said:
            self.receipts.refused.append(f"{said['what']} {said['number']}: {said['refused']}")
            return
        number, size = said["number"], said["size"]
        match What(said["what"]):
            case What.CAMPAIGN:
                self.receipts.campaigns.append(CampaignReceipt(said["id"], samples.addresses(number, size)))
            case What.JOB:
                owner = samples.owner(number, said["attempt"])
                self.receipts.jobs.append(JobReceipt(said["id"], samples.file_names(size), owner))
            case What.MAIL:
                self.receipts.mails.append(MailReceipt(said["id"], samples.single(number)))


class ThreadLoad:
    """Submits in a thread of this process.

    Args:
        plan: What to submit, in the order of its time.
        submit: Submits one thing.
        receipts: Where that keeps its receipts.
    """

    def __init__(self, plan: Sequence[Submission], submit: Callable[[Submission], None], receipts: Receipts) -> None:
        self.receipts = receipts
        self.slowest = 0.0
        self._plan, self._submit = plan, submit
        self._failed: Exception | None = None
        self._over = Event()
        self._thread = Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until everything was submitted; return whether it was.

        Raises:
            LoadFailed: Something was wrong with this program.
        """
        self._thread.join(seconds)
        if self._failed is not None:
            raise LoadFailed("The work could not be submitted.") from self._failed
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Submit no more."""
        self._over.set()
        self._thread.join(LONGEST_SUBMISSION_SECONDS)

    def _run(self) -> None:
        started = time.monotonic()
        for submission in self._plan:
            if self._over.wait(max(0.0, started + submission.at - time.monotonic())):
                return
            begun = time.monotonic()
            try:
                self._submit(submission)
            except Exception as error:  # noqa: BLE001 - raised again by whoever waits
                self._failed = error
                return
            self.slowest = max(self.slowest, time.monotonic() - begun)
