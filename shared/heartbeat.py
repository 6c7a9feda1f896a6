"""The thread that reports the health of its process, every second for as long as the process lives."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock, Thread
from typing import NamedTuple

from shared.health import LIVE_WITHIN_SECONDS, HealthReport, Verdict, born, clock, judge, remove, write

logger = logging.getLogger(__name__)

BEAT_EVERY_SECONDS = 1.0


class Look(NamedTuple):
    """What a process sees when it looks at itself."""

    turned: float
    """When its loop last turned, or was known to be held up for a good reason, by ``shared.health.clock``."""
    not_ready: str | None = None
    """Why it does no work now."""


class Heartbeat:
    """Writes what ``look`` sees to the report of this process.

    A thread writes, so that a slow disk does not hold up the loop; what it writes is when the *loop* turned.  A report
    that can't be written is logged once, and never ends the process.

    Args:
        process: The name of the process.
        look: Is asked from the thread; one that raises is logged and gives no new report.
        folder: Where the report goes; made when missing.
        within: Seconds that the loop may take for a turn.
    """

    def __init__(
        self, process: str, look: Callable[[], Look], folder: Path, *, within: float = LIVE_WITHIN_SECONDS
    ) -> None:
        self._look = look
        self._folder = folder
        self._report = HealthReport(process, os.getpid(), born(os.getpid()), clock(), within, "it is starting")
        self._writing = Lock()
        self._ended = Event()
        self._complained = False

    @property
    def verdict(self) -> Verdict:
        """Whether this process is live and ready."""
        return judge(self._report, clock(), ended=False)

    def start(self) -> None:
        """Begin to report, until ``end`` or the end of the process."""
        self._beat()
        atexit.register(self.end)
        Thread(target=self._run, name="heartbeat", daemon=True).start()

    def end(self) -> None:
        """Remove the report: the process ends as it should."""
        if self._report.pid != os.getpid():  # a fork of the process that reports
            return
        self._ended.set()
        with self._writing:
            remove(self._folder, self._report)

    def _run(self) -> None:
        while not self._ended.wait(BEAT_EVERY_SECONDS):
            self._beat()

    def _beat(self) -> None:
        try:
            turned, not_ready = self._look()
            last = self._report
            self._report = HealthReport(last.process, last.pid, last.born, turned, last.within, not_ready)
            with self._writing:
                if not self._ended.is_set():
                    write(self._folder, self._report)
            self._complained = False
        except Exception:  # health must not end the work that it watches
            if not self._complained:
                logger.exception("The health of this process can't be reported in %s", self._folder)
            self._complained = True
