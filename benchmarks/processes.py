"""The processes of a benchmark: started with their output in a file, and gone when their block ends."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks.harness import Failed
from benchmarks.timed import FOUND
from services.core.local.processes import ChildProcess

ROOT = Path(__file__).parents[1]
PROJECT = Path(sys.executable).parent
"""Folder of the programs of the project's environment."""
PEERS = ROOT / "var/benchmarks/peers/bin"
ARQ = ROOT / "var/benchmarks/arq/bin"
TAIL_LINES = 4
RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Closed|Timeout|Failed)\b")
"""How the last line of a traceback begins."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Starts programs in the project's folder.

    Args:
        logs: Folder for their output.
        environment: All of their environment.
    """

    logs: Path
    environment: Mapping[str, str]

    def run(self, argv: Sequence[object], seconds: float) -> str:
        """Run a program to its end, and return its output.

        Raises:
            Failed: It failed, or took longer; nothing of it is left.
        """
        program = self._child(argv)
        try:
            program.start()
            exit_code = program.wait(seconds)
            output = program.output()
        finally:
            program.kill()
        if exit_code is None:
            raise Failed(f"It took longer than {seconds:g} s.")
        if exit_code != 0:
            raise Failed(_why(program))
        return output

    def seconds(self, environment: Path, target: str, number: int, *, within: float, warm: int | None = None) -> float:
        """Return how long a function of the benchmarks takes for so many, in a process of its own."""
        call = [environment / "python", "-m", "benchmarks.timed", target, number]
        output = self.run(call if warm is None else [*call, warm], within)
        # Libraries may complain about how their process ends, after it.
        found = next((line for line in reversed(output.splitlines()) if line.startswith(FOUND)), None)
        if found is None:
            raise Failed("It ended without a figure.")
        return float(json.loads(found)["seconds"])

    @contextmanager
    def running(self, *commands: Sequence[object]) -> Iterator[list[ChildProcess]]:
        """Run programs for the length of a ``with`` block."""
        with ExitStack() as stack:
            started = []
            for argv in commands:
                program = self._child(argv)
                stack.callback(program.kill)
                program.start()
                started.append(program)
            yield started

    def _child(self, argv: Sequence[object]) -> ChildProcess:
        name = f"{next(_numbers):04}-{Path(str(argv[0])).name}"
        arguments = [str(each) for each in argv]
        return ChildProcess(name, arguments, log=self.logs / f"{name}.log", environment=self.environment, folder=ROOT)


_numbers = count(1)


def wait_for(
    reached: Callable[[], bool], seconds: float, processes: Sequence[ChildProcess] = (), every: float = 0.01
) -> None:
    """Wait until a condition holds.

    Raises:
        Failed: A process ended, or it took longer.
    """
    deadline = time.monotonic() + seconds
    looked = time.monotonic()
    while not reached():
        now = time.monotonic()
        if now > deadline:
            raise Failed(f"It took longer than {seconds:g} s.")
        if now - looked > 1:
            looked = now
            for process in processes:
                if not process.alive:
                    raise Failed(_why(process))
        time.sleep(every)


def _why(process: ChildProcess) -> str:
    said = process.output().partition("Exception ignored in")[0]
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if RAISED.match(line)]
    return f"It ended: {' | '.join(errors[-1:] or lines[-TAIL_LINES:]) or 'it said nothing'}"
