"""Tasks that note when they start and end, for workers that outlive their RabbitMQ (``-A tests.fleet.outliving``)."""

from __future__ import annotations

import time

import redis
from celery.exceptions import Reject

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, rabbitmq_quorum_queue
from shared.settings import load_settings

EXCHANGE = "outlive"
QUORUM, URGENT_QUORUM = "outlive.quorum", "outlive.urgent-quorum"


def classic(pool: str) -> str:
    """The classic queue of the worker of a pool."""
    return f"outlive.{pool}"


QUEUES = [
    *(
        QueueSpec(queue=rabbitmq_queue(classic(pool), EXCHANGE), broker=BrokerName.BATCH, service="s", pool=pool)
        for pool in Pool
    ),
    QueueSpec(queue=rabbitmq_quorum_queue(QUORUM, EXCHANGE), broker=BrokerName.BATCH, service="s"),
    QueueSpec(
        queue=rabbitmq_quorum_queue(URGENT_QUORUM, EXCHANGE, prioritised=True), broker=BrokerName.BATCH, service="s"
    ),
]
app = FleetCelery("outlive", brokers=switchyard_brokers, queues=QUEUES, home=BrokerName.BATCH)


@app.task(name="outlive.run")
def run(key, seconds=0.0):
    """Note the start, work, note the end."""
    with redis.Redis.from_url(load_settings().state_url.get_secret_value()) as client:
        client.rpush(key, "start")
        time.sleep(seconds)
        client.rpush(key, "end")


@app.task(name="outlive.reject", bind=True, acks_late=True)
def reject(self):
    """Give the message up."""
    raise Reject("as asked", requeue=False)
