"""Who is put to the test: the fleet, and what it is compared with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from shared.bulk import bulk
from tests.chaos.app import fleet
from tests.chaos.kept import relier_dead_letters
from tests.chaos.relier import client as relier
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.stock import VISIBILITY_SECONDS, stock, stock_with_defaults
from tests.chaos.tasks import WORK
from tests.chaos.workers import FLEET, STOCK, Crew

RELIER = "tests.chaos.relier.app"


class Publisher(Protocol):
    """Publishes tasks that last for a while."""

    def publish(self, number: int, seconds: float) -> Sequence[str]:
        """Publish so many; return their ids, each of which is a receipt."""

    def close(self) -> None:
        """Let go of what it holds."""


class AppPublisher:
    """Publishes with a Celery app.

    Args:
        make: Makes the app.
        setup: The broker and the queue.
    """

    def __init__(self, make: Callable[[Setup], Any], setup: Setup) -> None:
        self._app = make(setup)

    def publish(self, number: int, seconds: float) -> Sequence[str]:
        """Publish so many; return their ids."""
        options: dict[str, Any] = {"queue": QUEUE, "ignore_result": True}
        return [self._app.send_task(WORK, (seconds,), **options).id for _ in range(number)]

    def close(self) -> None:
        """Close the app."""
        self._app.close()


class BulkPublisher(AppPublisher):
    """Publishes with a fleet's app, several in bulk: the workers are faster than one publish after the other."""

    def publish(self, number: int, seconds: float) -> Sequence[str]:
        """Publish so many; return their ids once the broker has them all."""
        with bulk() if number > 1 else nullcontext():
            return super().publish(number, seconds)


def dead_letters_of_relier(setup: Setup, ended: set[str]) -> Mapping[str, str]:
    """Count what relier has put aside."""
    letters = relier_dead_letters(setup.broker)
    return {"in its dead letters": f"{len(letters):,}, of which {len(letters & ended):,} were executed to their end"}


def nothing_beside(_setup: Setup, _logs: Path) -> AbstractContextManager[None]:
    """Run nothing beside the workers."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One that is put to the test, on Redis at least."""

    name: str
    app: str
    """What ``celery -A`` takes."""
    publisher: Callable[[Setup], Publisher]
    restarts_within: float
    """Seconds in which it starts what a dead worker held again, by its settings; a promise or a hope."""
    arguments: tuple[str, ...] = ("--concurrency=2",)
    python: Callable[[], str] = lambda: sys.executable
    variables: Callable[[Setup], Mapping[str, str]] = lambda _: {}
    """What its workers' environment has beside the setup."""
    beside: Callable[[Setup, Path], AbstractContextManager[None]] = nothing_beside
    """Runs what it needs beside its workers."""
    findings: Callable[[Setup, set[str]], Mapping[str, str]] = lambda _setup, _ended: {}
    """Tells what else there is to say at the end, given the tasks that were executed."""

    @property
    def is_ours(self) -> bool:
        """Whether promises were made for it."""
        return self is SWITCHYARD

    def crew(self, setup: Setup, logs: Path) -> Crew:
        """Return a crew without workers yet."""
        return Crew(self.app, setup, logs, self.arguments, python=self.python(), variables=dict(self.variables(setup)))


SWITCHYARD = Contender(name="Switchyard", app=FLEET, publisher=partial(BulkPublisher, fleet), restarts_within=15.0)
BEST = Contender(
    name="stock Celery, best settings",
    app=STOCK,
    publisher=partial(AppPublisher, stock),
    restarts_within=VISIBILITY_SECONDS,
)
DEFAULTS = Contender(
    name="stock Celery, defaults",
    app=f"{STOCK}:defaults",
    publisher=partial(AppPublisher, stock_with_defaults),
    restarts_within=3600.0,
)
WITH_RELIER = Contender(
    name="relier",
    app=RELIER,
    publisher=relier.RelierPublisher,
    restarts_within=VISIBILITY_SECONDS,
    arguments=("--concurrency=2", f"--queues={relier.QUEUES}"),
    python=partial(relier.program, "python"),
    variables=relier.variables,
    beside=relier.resurrector,
    findings=dead_letters_of_relier,
)
