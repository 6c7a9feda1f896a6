"""One task at a time, in the worker's main thread, where a signal breaks whatever it waits for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from celery.concurrency import solo
from celery.concurrency.base import apply_target
from celery.exceptions import SoftTimeLimitExceeded

from shared.queues import Pool
from shared.worker.pools.contained import ContainedPool


class Inline(solo.TaskPool):
    """Celery's solo pool, whose ``on_apply`` is a method as in its other pools."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        del self.__dict__["on_apply"]

    def on_apply(self, *args: Any, **options: Any) -> Any:
        """Run a task, here and now."""
        return apply_target(*args, **options)


class TaskPool(ContainedPool, Inline):
    """Celery's solo pool with soft time limits."""

    kind = Pool.SOLO

    def soft_limit(self, seconds: float) -> AbstractContextManager[Any]:
        """Return a context in which ``SoftTimeLimitExceeded`` is raised after some seconds, also while it sleeps."""
        return alarm(seconds)


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise ``SoftTimeLimitExceeded`` after some seconds, in the main thread; takes SIGALRM meanwhile."""
    armed = True

    def ring(*_: Any) -> None:
        if armed:
            raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
