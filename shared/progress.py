"""Tell how far a task is, and not too often."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVarTuple

from celery.exceptions import SoftTimeLimitExceeded

logger = logging.getLogger(__name__)

State = TypeVarTuple("State")
SECONDS_BETWEEN = 0.5


class ThrottledProgress(Generic[*State]):
    """Passes progress on at most twice a second; the first half second of a task is silent.

    Progress is a courtesy: when it can't be told, that is logged and the work goes on.

    Args:
        tell: Called with how far the task is, in whatever terms the task has.
        clock: Seconds that never go back.
    """

    def __init__(self, tell: Callable[[*State], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._told_at = clock()

    def __call__(self, *state: *State) -> None:
        """Pass on how far the task is, unless something was just passed on."""
        now = self._clock()
        if now - self._told_at < SECONDS_BETWEEN:
            return
        self._told_at = now
        try:
            self._tell(*state)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the result store raises, the work is not to blame
            logger.warning("Progress could not be told: %s", error)
