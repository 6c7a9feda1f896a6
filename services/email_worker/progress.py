"""Tell how far a task is, and not too often."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from celery.exceptions import SoftTimeLimitExceeded

_log = logging.getLogger(__name__)

SECONDS_BETWEEN = 0.5


class ThrottledProgress:
    """Passes progress on at most twice a second; the first half second of a task is silent.

    Progress is news: when it can't be told, that is logged and the work goes on.
    """

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell
        self._told_at = time.monotonic()

    def __call__(self, current: int, total: int) -> None:
        """Pass on how much is done of how much, unless something was just passed on."""
        now = time.monotonic()
        if now - self._told_at < SECONDS_BETWEEN:
            return
        self._told_at = now
        try:
            self._tell(current, total)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the result store raises, it must not stop the mail
            _log.warning("Progress was not stored: %s", error)
