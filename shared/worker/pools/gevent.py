"""Greenlets; one that waits can be interrupted, one that computes can't."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from celery.concurrency import gevent
from celery.exceptions import SoftTimeLimitExceeded

from shared.queues import Pool
from shared.worker.pools.contained import ContainedPool, Execution


class TaskPool(ContainedPool, gevent.TaskPool):
    """Celery's greenlets with soft time limits."""

    kind = Pool.GEVENT

    def begin(self, execution: Execution, hard: float | None) -> Any:
        """Run a task in a greenlet of its own."""
        return gevent.TaskPool.on_apply(
            self,
            execution.run,
            (),
            {},
            callback=execution.tell,
            timeout=hard,
            timeout_callback=execution.timeout_callback,
        )

    def soft_limit(self, seconds: float) -> AbstractContextManager[Any]:
        """Return a context in which ``SoftTimeLimitExceeded`` is raised where the greenlet waits past some seconds."""
        return timeout(seconds)


@contextmanager
def timeout(seconds: float) -> Iterator[None]:
    """Raise ``SoftTimeLimitExceeded`` in this greenlet after some seconds."""
    timer = gevent.Timeout.start_new(seconds, SoftTimeLimitExceeded())
    try:
        yield
    finally:
        timer.close()
