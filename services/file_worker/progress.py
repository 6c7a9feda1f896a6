"""Tell how far a task is, and not too often."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from celery.exceptions import SoftTimeLimitExceeded

from services.file_worker.work import Progress

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 0.5


class ThrottledProgress:
    """Passes progress on at most twice a second; the first half second of a task is silent.

    Progress is a courtesy: when it can't be told, that is logged and the work goes on.
    """

    def __init__(self, tell: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._told_at = clock()

    def __call__(self, stage: str, current: int, total: int) -> None:
        """Pass on that a stage is at ``current`` of ``total``, unless something was just passed on."""
        now = self._clock()
        if now - self._told_at < SECONDS_BETWEEN:
            return
        self._told_at = now
        try:
            self._tell(stage, current, total)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the result store raises, the file is not to blame
            logger.warning("Progress could not be told: %s", error)
