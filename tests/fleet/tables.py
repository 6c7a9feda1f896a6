"""The tables of the test fleet: on each broker queues that workers serve, and one that nobody serves."""

from __future__ import annotations

from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from shared.routing import TaskSpec

BROKERS = (BrokerName.DEFAULT, BrokerName.CRITICAL, BrokerName.BATCH)
WORKERS = [(broker, Pool.PREFORK) for broker in BROKERS] + [
    (BrokerName.DEFAULT, pool) for pool in (Pool.THREADS, Pool.GEVENT, Pool.SOLO)
]


def served(broker: str, pool: str) -> str:
    """The queue of the worker of a broker and a pool."""
    return f"try.{broker}.{pool}"


def parked(broker: str) -> str:
    """The queue of a broker that no worker serves: what is published to it stays to be looked at."""
    return f"try.{broker}.parked"


def _spec(name: str, broker: str, pool: Pool = Pool.PREFORK) -> QueueSpec:
    declare = rabbitmq_queue if broker == BrokerName.BATCH else redis_queue
    return QueueSpec(queue=declare(name, f"try.{broker}"), broker=broker, service="try", pool=pool)


QUEUES = [_spec(served(broker, pool), broker, pool) for broker, pool in WORKERS] + [
    _spec(parked(broker), broker) for broker in BROKERS
]
TASKS = [TaskSpec(f"try.parked_{broker}", parked(broker)) for broker in BROKERS]
