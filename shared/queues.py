"""The queue table: the only place where a queue is declared.

A queue is the unit of scale.  The table says for each which broker owns it, which service works it off, and how
a worker of it is set up when nothing else is asked for on the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from kombu import Exchange, Queue
from kombu.common import maybe_declare

from shared.errors import ConfigurationError, InvalidTable, UnenforceableTimeLimit
from shared.names import BrokerName, QueueName, ServiceName
from shared.priorities import MOST_URGENT
from shared.transports.claims import DEAD

Number = TypeVar("Number", int, float)


class Pool(StrEnum):
    """How a worker runs its tasks; Celery's own names."""

    PREFORK = "prefork"
    THREADS = "threads"
    GEVENT = "gevent"
    SOLO = "solo"


ENFORCE_SOFT_LIMITS = frozenset({Pool.PREFORK, Pool.GEVENT, Pool.SOLO})
"""Nothing interrupts a thread that waits."""
ENFORCE_HARD_LIMITS = frozenset({Pool.PREFORK})
"""Only a child process can be killed."""
GRACE_WITHOUT_LIMIT_SECONDS = 60.0
"""The grace period of work without a hard time limit: mail, whose every step the SMTP timeout bounds."""
CHILD_MEMORY_KIB = 1024 * 1024
"""A gibibyte: what the largest image that is taken on needs, and a dozen times what an idle child has."""
AFTER_GRACE_SECONDS = 15.0
"""What a worker needs at most beyond its grace period, to give work back and to end; then it may be killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """One row of the queue table.

    Raises:
        InvalidTable: A time limit does not fit the pool, or a number is out of range.
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
    max_lost_executions: int = 3
    """How often a task may take its process with it until it counts as poison; see ``shared.worker.poison``."""
    keep_failures: bool = True
    """Whether messages of tasks that failed for good are kept as dead letters; see ``shared.worker.failures``."""
    max_memory_per_child: int | None = CHILD_MEMORY_KIB
    """KiB of memory; a child process that has had more is replaced when its task has ended.  Prefork alone."""
    max_tasks_per_child: int | None = None
    """After so many tasks a child process is replaced.  Prefork alone."""

    def __post_init__(self) -> None:
        reason = self.unenforceable(self.soft_time_limit, self.time_limit)
        if reason:
            raise InvalidTable(f"{reason} Use prefork.")
        if self.max_lost_executions < 1:
            raise InvalidTable(f"A task of queue {self.name!r} must be executed once: max_lost_executions is below 1.")
        if any(limit is not None and limit < 1 for limit in (self.max_memory_per_child, self.max_tasks_per_child)):
            raise InvalidTable(f"A limit per child of queue {self.name!r} is at least 1; None is no limit.")
        if self.soft_time_limit and self.time_limit and self.soft_time_limit >= self.time_limit:
            raise InvalidTable(f"The soft time limit of queue {self.name!r} must be below its hard one.")

    @property
    def name(self) -> str:
        """The name of the queue."""
        return str(self.queue.name)

    @property
    def grace(self) -> float:
        """Seconds that running work gets to end when its worker is asked to: as long as its hard time limit lets it."""
        return self.time_limit or GRACE_WITHOUT_LIMIT_SECONDS

    def unenforceable(self, soft: float | None, hard: float | None) -> str | None:
        """Say which of two time limits, in seconds, the pool of this queue can't enforce, if there is one."""
        if soft and self.pool not in ENFORCE_SOFT_LIMITS:
            return f"Queue {self.name!r} has pool {self.pool.value!r}, which can't enforce a soft time limit."
        if hard and self.pool not in ENFORCE_HARD_LIMITS:
            return f"Queue {self.name!r} has pool {self.pool.value!r}, which can't enforce a hard time limit."
        return None

    def refuse_unenforceable(self, soft: float | None, hard: float | None) -> None:
        """Refuse to publish a task with time limits, in seconds, that the pool of this queue can't enforce.

        Raises:
            UnenforceableTimeLimit: Nothing was sent.
        """
        reason = self.unenforceable(soft, hard)
        if reason:
            raise UnenforceableTimeLimit(f"{reason} Publish without it, or into a queue of another pool.")


class RabbitMQQueue(Queue):
    """A queue on RabbitMQ, which is never declared without the place where its dead letters go."""

    attrs = (*Queue.attrs, ("prioritised", None))
    prioritised: bool | None = None

    def declare(self, nowait: bool = False, channel: Any = None) -> str:
        """Declare the exchange and the queue of dead letters, then this queue."""
        # A queue may name an exchange that does not exist: what it drops would be lost without a word.
        maybe_declare(DEAD_LETTERS, channel or self.channel)
        name: str = super().declare(nowait=nowait, channel=channel)
        return name


DEAD_LETTERS = Queue(DEAD, Exchange(DEAD, type="fanout"), durable=True)
"""Where every queue on RabbitMQ sends what it drops: expired, rejected, or delivered too often."""
CONSUMER_TIMEOUT_MS = 24 * 24 * 3600 * 1000
"""After how long RabbitMQ takes a message back from a worker that has not settled it, closing its channel.

A living worker keeps what it holds, however long it runs; a dead one is noticed by its connection.  So this is the most
that fits into 31 bits, and no time limit of a table is in it: a queue that exists can't be declared with another value.
Heeded since RabbitMQ 3.11.15; before, ``consumer_timeout`` of the server holds (half an hour).
Source: https://www.rabbitmq.com/docs/consumers#per-queue-delivery-timeouts-using-an-optional-queue-argument
"""
DELIVERY_LIMIT = 100
"""Deliveries of one message, those that were only held among them, after which a quorum queue drops it.

Far above what the fleet itself counts (``QueueSpec.max_lost_executions``), which looks at executions alone.
"""


def rabbitmq_queue(name: str, exchange: str) -> Queue:
    """Declare a durable classic queue with the whole scale of priorities.

    ``x-max-priority`` can't be added to a queue that exists, hence it is there from the start.
    """
    return _rabbitmq_queue(name, exchange, {"x-max-priority": MOST_URGENT}, prioritised=True)


def rabbitmq_quorum_queue(name: str, exchange: str, *, prioritised: bool = False) -> Queue:
    """Declare a queue that is replicated over the nodes of a cluster.

    It knows no scale of urgency before RabbitMQ 4.3: a worker of a prioritised one refuses to start there.

    Args:
        name: The name of the queue.
        exchange: The name of its exchange.
        prioritised: Whether urgency counts in this queue.
    """
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        # What it drops leaves the queue only when the queue of dead letters has it.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return _rabbitmq_queue(name, exchange, arguments, prioritised=prioritised)


def _rabbitmq_queue(name: str, exchange: str, arguments: dict[str, Any], *, prioritised: bool) -> Queue:
    return RabbitMQQueue(
        str(name),
        Exchange(exchange, type="direct"),
        str(name),
        prioritised=prioritised,
        queue_arguments={**arguments, "x-dead-letter-exchange": DEAD, "x-consumer-timeout": CONSUMER_TIMEOUT_MS},
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
    max_memory_per_child: int | None
    max_tasks_per_child: int | None


def worker_setup(specs: Sequence[QueueSpec], pool: Any = None) -> WorkerSetup:
    """Return the set-up of a worker that serves the given queues together.

    Args:
        specs: The queues, at least one.
        pool: The pool that was asked for; that of the queues by default.

    Returns:
        The queues' pool, the sum of their concurrencies, the least prefetch, the longest time limits, the most that
        a child may have and do.

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
        max_memory_per_child=longest([spec.max_memory_per_child for spec in specs]),
        max_tasks_per_child=longest([spec.max_tasks_per_child for spec in specs]),
    )


def longest(limits: Sequence[Number | None]) -> Number | None:
    """Return the longest or greatest of some limits, where ``None`` is none at all."""
    return None if None in limits else max(limit for limit in limits if limit is not None)
