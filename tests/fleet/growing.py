"""A fleet whose children grow: ``celery -A tests.fleet.growing worker -Q grow.<broker>``."""

from __future__ import annotations

import os
from typing import Any

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from shared.queues import QueueSpec, rabbitmq_queue, redis_queue

MEBIBYTE = 1 << 20
BROKERS = (BrokerName.DEFAULT, BrokerName.BATCH)
DECLARE = {BrokerName.DEFAULT: redis_queue, BrokerName.BATCH: rabbitmq_queue}
LIMITS: dict[str, dict[str, Any]] = {
    "memory": {"max_memory_per_child": 200 * 1024},
    "tasks": {"max_tasks_per_child": 5},
}
kept: list[bytes] = []

app = FleetCelery(
    "grow",
    brokers=switchyard_brokers,
    queues=[
        QueueSpec(
            queue=DECLARE[broker](f"grow.{broker}.{what}", f"grow.{broker}"), broker=broker, service="grow", **limits
        )
        for broker in BROKERS
        for what, limits in LIMITS.items()
    ],
    home=BrokerName.DEFAULT,
    defaults=switchyard_defaults,
    state=switchyard_state,
)


@app.task(name="grow.leak")
def leak(key: str, number: int, mebibytes: int) -> int:
    """Keep so much memory; note which child did what."""
    kept.append(os.urandom(MEBIBYTE) * mebibytes)
    app.state.client.rpush(key, f"{os.getpid()} {number}")
    return number
