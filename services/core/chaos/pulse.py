"""How a worker is doing, seen from outside: what it runs now, and when it last ended something."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import NamedTuple

from shared.metrics import Reading, scrape

LOOK_SECONDS = 0.4
ACTIVE = "celery_worker_tasks_active"
RUNTIME = "celery_task_runtime_count"


class Look(NamedTuple):
    """What is seen of a process at one moment."""

    active: int
    """How much is in flight there."""
    ended: float
    """How much it has ended since it started."""


Looker = Callable[[], Look | None]
"""Looks at a process; sees nothing of one that does not answer."""


class Pulse:
    """Looks at one process again and again, in a thread; what it tells is at most a second old.

    Args:
        look: Looks once.
    """

    def __init__(self, look: Looker) -> None:
        self._look = look
        self.last: Look | None = None
        """What was seen last."""
        self.ended_at: list[float] = []
        """When it was seen that something had ended, by ``time.monotonic``."""
        self._over = Event()
        self._thread = Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def active(self) -> int:
        """Say how much was in flight in the process when it was last seen."""
        return self.last.active if self.last else 0

    def first_after(self, moment: float) -> float | None:
        """Say when, after a moment, the process was first seen to have ended something."""
        return next((at for at in self.ended_at if at > moment), None)

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        ended = 0.0
        while not self._over.wait(LOOK_SECONDS):
            looked_at = time.monotonic()
            self.last = seen = self._look()
            if seen is None:
                continue
            if seen.ended and seen.ended != ended:
                self.ended_at.append(looked_at)
            ended = seen.ended


def look_at(url: str) -> Look | None:
    """Look at a worker by its metrics.

    Args:
        url: Where they are.
    """
    try:
        readings = scrape(url)
    except (OSError, ValueError):
        return None
    return Look(int(_total(readings, ACTIVE)), _total(readings, RUNTIME))


def pulses(lookers: Mapping[str, Looker]) -> dict[str, Pulse]:
    """Take the pulse of each process, by name."""
    return {name: Pulse(look) for name, look in lookers.items()}


def _total(readings: list[Reading], name: str) -> float:
    return sum(reading.value for reading in readings if reading.name == name)
