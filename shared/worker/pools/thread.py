"""Threads; nothing can interrupt one that waits, hence no time limit holds in them."""

from __future__ import annotations

from celery.concurrency import thread

from shared.queues import Pool
from shared.worker.pools.contained import ContainedPool
from shared.worker.pools.last_tasks import STAND_IN_EVERY_SECONDS, stand_in_for_loop


class TaskPool(ContainedPool, thread.TaskPool):
    """Celery's threads, in which every execution has an end."""

    kind = Pool.THREADS

    def on_stop(self) -> None:
        """Let running tasks end; Celery's pool does nothing else meanwhile, and RabbitMQ takes it for dead."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        for each in tuple(self.executor._threads):  # noqa: SLF001 - as its base does
            while each.is_alive():
                each.join(STAND_IN_EVERY_SECONDS)
                stand_in_for_loop(self.app)
