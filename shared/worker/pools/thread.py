"""Threads; nothing can interrupt one that waits, hence no time limit holds in them."""

from __future__ import annotations

from celery.concurrency import thread

from shared.queues import Pool
from shared.worker.pools.contained import ContainedPool


class TaskPool(ContainedPool, thread.TaskPool):
    """Celery's threads, in which every execution has an end."""

    kind = Pool.THREADS
