"""The queues of the fleet that runs Celery's tests: one on each broker, with one worker."""

from __future__ import annotations

from shared.names import BrokerName
from shared.queues import QueueSpec, rabbitmq_queue, redis_queue


def queue_name(broker: str) -> str:
    """Return the name of the one queue on a broker."""
    return f"upstream.{broker}"


def worker_name(broker: str) -> str:
    """Return the node name of the one worker on a broker."""
    return f"{broker}@upstream"


QUEUES = [
    QueueSpec(queue=declare(queue_name(broker), "upstream"), broker=broker, service="upstream", concurrency=1)
    for broker, declare in (
        (BrokerName.CRITICAL, redis_queue),
        (BrokerName.BATCH, rabbitmq_queue),
        (BrokerName.DEFAULT, redis_queue),
    )
]
