"""The client program of a page: one Python process that runs the page's blocks one after the other."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path

from tests.guide.pages import Program, WrongPage, compare

PROGRAM = Path(__file__).with_name("program.py")
BLOCK_WITHIN_SECONDS = 60.0


class Session:
    """A client program in a process of its own.

    Args:
        project: The folder in which it runs.
        environment: Its environment variables.
        errors: Where what it writes to stderr is kept.
    """

    def __init__(self, project: Path, environment: dict[str, str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, str(PROGRAM)],
                cwd=project, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            )  # fmt: skip

    def run(self, program: Program) -> None:
        """Run a block and hold what it prints, or the error that it ends with, against what the page shows.

        Raises:
            WrongPage: They differ, or it does not come to an end.
        """
        self._tell({"name": program.where, "code": "\n" * (program.line - 1) + program.code})
        compare(program.expected, self._answer(program.where), program.where)

    def close(self, where: str) -> None:
        """End the program as a reader does, who leaves Python.

        Nothing may be on stderr, so that a warning which readers would see fails the page.

        Raises:
            WrongPage: It has written to stderr, or did not end well.
        """
        assert self._process.stdin
        self._process.stdin.close()
        code = self._process.wait(BLOCK_WITHIN_SECONDS)
        if code or self._complaints:
            raise WrongPage(where, f"the page's program ended with {code} and wrote to stderr:\n{self._complaints}")

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        with self._process:
            pass

    @property
    def _complaints(self) -> str:
        return self._errors.read_text(errors="replace")

    def _tell(self, block: dict[str, str]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(block).encode() + b"\n")
        self._process.stdin.flush()

    def _answer(self, where: str) -> str:
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], BLOCK_WITHIN_SECONDS)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            why = "died" if ready else f"did not end within {BLOCK_WITHIN_SECONDS:g} s"
            raise WrongPage(where, f"the block {why}:\n{self._complaints}")
        return str(json.loads(line))
