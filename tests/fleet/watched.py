"""A fleet whose workers report their health, with a queue for each: ``celery -A tests.fleet.watched worker``.

The remote control command ``lose_consumer`` makes a worker lose its consumer behind Celery's back.
"""

from __future__ import annotations

import time
from itertools import product

from celery.worker.control import control_command

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from shared.worker.metrics_server import MetricsServer

BROKERS = (BrokerName.DEFAULT, BrokerName.BATCH)
BUSY, PAUSED, DEAF = "busy", "paused", "deaf"
WORKERS = [
    f"{broker}.{pool}.{fate}"
    for broker, (pool, fate) in product(
        BROKERS,
        [
            (Pool.PREFORK, BUSY),
            (Pool.PREFORK, DEAF),
            (Pool.THREADS, PAUSED),
            (Pool.GEVENT, DEAF),
            (Pool.SOLO, BUSY),
        ],
    )
]
"""Broker, pool, and what becomes of it; also the name of its queue."""


def _spec(name: str) -> QueueSpec:
    broker, pool, _ = name.split(".")
    declare = rabbitmq_queue if broker == BrokerName.BATCH else redis_queue
    return QueueSpec(queue=declare(name, f"watch.{broker}"), broker=broker, service="watch", pool=Pool(pool))


app = FleetCelery(
    "watch",
    brokers=switchyard_brokers,
    queues=[_spec(name) for name in WORKERS],
    defaults=switchyard_defaults,
)
app.steps["worker"].add(MetricsServer)


@app.task(name="watch.echo")
def echo(value):
    return value


@app.task(name="watch.sleep")
def sleep(seconds):
    time.sleep(seconds)


@control_command()
def lose_consumer(state):
    consumer = state.consumer.task_consumer

    def cancel():
        for tag in consumer._active_tags.values():
            consumer.channel.basic_cancel(tag)

    state.consumer.call_soon(cancel)
    return {"ok": "lost"}
