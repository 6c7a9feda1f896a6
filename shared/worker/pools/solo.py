"""One task at a time, in the worker's main thread, where a signal breaks whatever it waits for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from celery.concurrency import solo
from celery.exceptions import SoftTimeLimitExceeded

from shared.deadlines import has_deadline, time_out
from shared.queues import Pool
from shared.worker.pools.contained import ContainedPool, Execution
from shared.worker.pools.last_tasks import asked_to_stop


class TaskPool(ContainedPool, solo.TaskPool):
    """Celery's solo pool with soft time limits."""

    kind = Pool.SOLO

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        del self.__dict__["on_apply"]  # a method, as in Celery's other pools

    def begin(self, execution: Execution, hard: float | None) -> None:  # noqa: ARG002 - nothing here can hold that
        """Run a task, here and now: maybe while the loop waits for an answer of the broker, whose deadline can wait.

        A worker that is to stop begins nothing more.
        """
        if asked_to_stop():
            return
        if has_deadline():
            with time_out():
                execution()
        else:
            execution()

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
