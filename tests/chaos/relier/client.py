"""relier from outside its environment: what publishes with it, and what has to run beside its workers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.core.local.processes import ChildProcess
from shared.errors import FleetError
from shared.settings import child_environment
from tests.chaos.setup import Setup
from tests.chaos.workers import ROOT

PROGRAMS = ROOT / "var" / "relier" / "bin"
QUEUES = "high_priority,default,low_priority,re-queue"
"""Those that its README has a worker serve."""


def variables(setup: Setup) -> Mapping[str, str]:
    """Return the settings of relier that are not its defaults."""
    return {"RELIER_REDIS_URL": setup.broker}


def program(name: str) -> str:
    """Return the path of a program of its environment.

    Raises:
        FleetError: There is no such environment.
    """
    path = PROGRAMS / name
    if not path.exists():
        raise FleetError("relier is not installed. Run tests/chaos/relier/install, which makes var/relier.")
    return str(path)


class RelierPublisher:
    """Publishes through a process of relier's own environment."""

    def __init__(self, setup: Setup) -> None:
        self._process = subprocess.Popen(
            [program("python"), "-m", "tests.chaos.relier.publisher"],
            cwd=ROOT,
            env=child_environment({**setup.environment("publisher"), **variables(setup)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def publish(self, number: int, seconds: float) -> Sequence[str]:
        """Publish so many tasks; return their ids.

        Raises:
            ConnectionError: One was refused, or the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number} {seconds}\n")
        self._process.stdin.flush()
        answers = [self._process.stdout.readline().strip() for _ in range(number)]
        for answer in answers:
            if not answer or answer.startswith("!"):
                raise ConnectionError(f"relier published nothing: {answer}")
        return answers

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@contextmanager
def resurrector(setup: Setup, logs: Path) -> Iterator[None]:
    """Run what starts the tasks of dead workers again, beside those that do it too; nobody kills it."""
    process = ChildProcess(
        "resurrector",
        [program("rl"), "run-resurrector"],
        log=logs / "resurrector.log",
        environment=child_environment(dict(variables(setup))),
        folder=ROOT,
    )
    process.start()
    try:
        yield
    finally:
        process.kill()
