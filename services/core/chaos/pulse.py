"""How a worker is doing, seen from outside: what it runs now, and when it last ended something."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Event, Thread

from shared.metrics import Reading, scrape

LOOK_SECONDS = 0.4
ACTIVE = "celery_worker_tasks_active"
RUNTIME = "celery_task_runtime_count"


class Pulse:
    """Reads the metrics of one worker again and again, in a thread; what it tells is at most half a second old.

    Args:
        url: Where they are.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._active = 0
        self._ended_count = 0.0
        self.ended_at: list[float] = []
        """When it was seen that something had ended, by ``time.monotonic``."""
        self._over = Event()
        self._thread = Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def active(self) -> int:
        """Say how many tasks the worker ran when it was last seen."""
        return self._active

    def first_after(self, moment: float) -> float | None:
        """Say when, after a moment, the worker was first seen to have ended something."""
        return next((at for at in self.ended_at if at > moment), None)

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            looked_at = time.monotonic()
            try:
                readings = scrape(self._url)
            except (OSError, ValueError):
                self._active = 0
                continue
            self._active = int(_total(readings, ACTIVE))
            ended = _total(readings, RUNTIME)
            if ended and ended != self._ended_count:
                self.ended_at.append(looked_at)
            self._ended_count = ended


def pulses(urls: Mapping[str, str]) -> dict[str, Pulse]:
    """Take the pulse of each worker, by name."""
    return {name: Pulse(url) for name, url in urls.items()}


def _total(readings: list[Reading], name: str) -> float:
    return sum(reading.value for reading in readings if reading.name == name)
