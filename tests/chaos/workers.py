"""Workers that are killed and replaced, as processes of Celery's command line."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Self

from services.core.local.processes import ChildProcess
from shared.settings import child_environment
from tests.chaos.setup import Setup

ROOT = Path(__file__).parents[2]
ALONE = ("--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel=WARNING")
FLEET, STOCK = "tests.chaos.app", "tests.chaos.stock"


class Crew:
    """A number of workers of one app.  After its ``with`` block none is left.

    Args:
        app: The module of the app.
        setup: What the workers must know.
        logs: Folder for a log of each worker.
        arguments: What the command line says beside the app; two prefork children by default.
        python: Of the environment that the workers run in.
        variables: What their environment has beside the setup.
    """

    def __init__(
        self,
        app: str,
        setup: Setup,
        logs: Path,
        arguments: Sequence[str] = ("--concurrency=2",),
        *,
        python: str = sys.executable,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.workers: dict[str, ChildProcess] = {}
        """Those that should run, by name."""
        self.kills: dict[str, float] = {}
        """When each of the others was killed, in seconds since the epoch."""
        self.deaths: list[str] = []
        """What is known of those that ended by themselves."""
        self.arguments = tuple(arguments)
        self._app, self._setup, self._logs = app, setup, logs
        self._python, self._variables = python, dict(variables or {})
        self._given: dict[str, tuple[str, ...]] = {}
        self._names = (f"w{number}" for number in count(1))

    def add(self, *arguments: str) -> str:
        """Start one more worker, with arguments of its own or with those of the crew; return its name at once."""
        name = next(self._names)
        self._given[name] = arguments = arguments or self.arguments
        command = [self._python, "-m", "celery", "-A", self._app, "worker", f"--hostname={name}@chaos"]
        self.workers[name] = ChildProcess(
            name,
            [*command, *ALONE, *arguments],
            log=self._logs / f"{name}.log",
            environment=child_environment({**self._setup.environment(name), **self._variables}),
            folder=ROOT,
        )
        self.workers[name].start()
        return name

    def kill(self, name: str) -> None:
        """End a worker and its children with SIGKILL."""
        worker = self.workers.pop(name)
        if not worker.alive:
            self._note_death(worker)
        worker.kill()
        self.kills[name] = time.time()

    def replace_dead(self) -> None:
        """Start another worker for each that ended by itself, and remember that it did."""
        for name, worker in list(self.workers.items()):
            if not worker.alive:
                del self.workers[name]
                self._note_death(worker)
                worker.kill()
                self.kills[name] = time.time()
                self.add(*self._given[name])

    def stop(self) -> None:
        """Ask all workers to end, and wait for it."""
        for worker in self.workers.values():
            worker.terminate()
        for worker in self.workers.values():
            worker.stop(15)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for worker in self.workers.values():
                stack.callback(worker.kill)

    def _note_death(self, worker: ChildProcess) -> None:
        self.deaths.append(f"{worker.name}: {worker.log_tail(8)}")
