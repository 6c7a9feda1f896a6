"""What becomes of a task whose next step can't be published: its message goes back, and it runs again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import sleep

from celery._state import get_current_task
from celery.exceptions import Reject, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
"""How long the task keeps its slot before its message goes back: it comes again at once."""


@contextmanager
def published_or_given_back() -> Iterator[None]:
    """Publish the callbacks and the next step of the task that has just ended.

    Celery fails a task whose step no broker takes, although it did its work, and a broker that restarts would fail all
    that end meanwhile.  A message that is not acknowledged yet goes back instead, after a pause: the task runs again,
    and what it does is guarded by the keys of its effects.

    Raises:
        Reject: The message goes back.
        OperationalError: It was acknowledged before the task ended, and can't go back: the task fails.
    """
    try:
        yield
    except OperationalError as error:
        task = get_current_task()
        request = task.request_stack.top if task is not None else None
        if request is None or request.is_eager or not task.acks_late or request.__dict__.get("acknowledged"):
            raise
        logger.warning("Task %s has ended and runs again, because its next step was refused: %s", request.id, error)
        with suppress(SoftTimeLimitExceeded):
            sleep(PAUSE_SECONDS)
        raise Reject(error, requeue=True) from error
