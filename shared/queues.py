"""The queue table: the only place where a queue is declared.

A queue is the unit of scale.  The table says for each which broker owns it, which service works it off, and how
a worker of it is set up when nothing else is asked for on the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from kombu import Exchange, Queue

from shared.errors import ConfigurationError, InvalidTable
from shared.names import BrokerName, QueueName, ServiceName
from shared.priorities import MOST_URGENT


class Pool(StrEnum):
    """How a worker runs its tasks; Celery's own names."""

    PREFORK = "prefork"
    THREADS = "threads"
    GEVENT = "gevent"
    SOLO = "solo"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """One row of the queue table.

    Raises:
        InvalidTable: A limit does not fit the pool: only a child process can be interrupted or killed.
    """

    queue: Queue
    """The declaration: name, exchange, routing key, arguments."""
    broker: str
    service: str
    pool: Pool = Pool.PREFORK
    concurrency: int = 2
    prefetch: int = 1
    """Messages that each process or thread may hold; 1 where urgency counts, for what is held can't be overtaken."""
    soft_time_limit: float | None = None
    """Seconds until ``SoftTimeLimitExceeded`` is raised inside a task."""
    time_limit: float | None = None
    """Seconds until the child process is killed."""

    def __post_init__(self) -> None:
        limits = (self.soft_time_limit, self.time_limit)
        if self.pool is not Pool.PREFORK and limits != (None, None):
            raise InvalidTable(
                f"Queue {self.name!r} has time limits, which pool {self.pool.value!r} can't enforce; use prefork."
            )
        if self.soft_time_limit and self.time_limit and self.soft_time_limit >= self.time_limit:
            raise InvalidTable(f"The soft time limit of queue {self.name!r} must be below its hard one.")

    @property
    def name(self) -> str:
        """The name of the queue."""
        return str(self.queue.name)


def rabbitmq_queue(name: str, exchange: str) -> Queue:
    """Declare a durable classic queue with the whole scale of priorities.

    ``x-max-priority`` can't be added to a queue that exists, hence it is there from the start.
    """
    return Queue(
        str(name), Exchange(exchange, type="direct"), str(name), queue_arguments={"x-max-priority": MOST_URGENT}
    )


def redis_queue(name: str, exchange: str) -> Queue:
    """Declare a queue on Redis; its priorities come from the transport and need no argument."""
    return Queue(str(name), Exchange(exchange, type="direct"), str(name))


QUEUES: tuple[QueueSpec, ...] = (
    QueueSpec(
        queue=redis_queue(QueueName.EMAIL_CRITICAL, "email"),
        broker=BrokerName.CRITICAL,
        service=ServiceName.EMAIL_WORKER,
        pool=Pool.THREADS,
        concurrency=4,
    ),
    QueueSpec(
        queue=rabbitmq_queue(QueueName.EMAIL_BULK, "email"),
        broker=BrokerName.BATCH,
        service=ServiceName.EMAIL_WORKER,
        pool=Pool.THREADS,
        concurrency=4,
    ),
    QueueSpec(
        queue=rabbitmq_queue(QueueName.FILE_IMAGES, "file"),
        broker=BrokerName.BATCH,
        service=ServiceName.FILE_WORKER,
        soft_time_limit=60,
        time_limit=90,
    ),
    QueueSpec(
        queue=rabbitmq_queue(QueueName.FILE_DOCUMENTS, "file"),
        broker=BrokerName.BATCH,
        service=ServiceName.FILE_WORKER,
        soft_time_limit=120,
        time_limit=150,
    ),
    QueueSpec(
        queue=redis_queue(QueueName.CORE_DEFAULT, "core"),
        broker=BrokerName.DEFAULT,
        service=ServiceName.CORE,
        soft_time_limit=120,
        time_limit=150,
    ),
    QueueSpec(
        queue=redis_queue(QueueName.CORE_MAINTENANCE, "core"),
        broker=BrokerName.DEFAULT,
        service=ServiceName.CORE,
        concurrency=1,
        soft_time_limit=240,
        time_limit=300,
    ),
)


class WorkerSetup(NamedTuple):
    """How a worker of some queues is set up when its command line does not say."""

    pool: Any
    concurrency: int
    prefetch: int
    soft_time_limit: float | None
    time_limit: float | None


def worker_setup(specs: Sequence[QueueSpec], pool: Any = None) -> WorkerSetup:
    """Return the set-up of a worker that serves the given queues together.

    Args:
        specs: The queues, at least one.
        pool: The pool that was asked for; that of the queues by default.

    Returns:
        The queues' pool, the sum of their concurrencies, the least prefetch, the longest time limits.

    Raises:
        ConfigurationError: The queues want different pools, and none was asked for.
    """
    pools = sorted({spec.pool.value for spec in specs})
    if pool is None and len(pools) > 1:
        raise ConfigurationError(
            f"Queues {', '.join(spec.name for spec in specs)} want different pools ({', '.join(pools)}). "
            "Start a worker for each, or choose one with --pool."
        )
    return WorkerSetup(
        pool=pool or pools[0],
        concurrency=sum(spec.concurrency for spec in specs),
        prefetch=min(spec.prefetch for spec in specs),
        soft_time_limit=longest([spec.soft_time_limit for spec in specs]),
        time_limit=longest([spec.time_limit for spec in specs]),
    )


def longest(limits: Sequence[float | None]) -> float | None:
    """Return the longest of some time limits, where ``None`` is none at all."""
    return None if None in limits else max(limit for limit in limits if limit is not None)
