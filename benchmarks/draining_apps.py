"""The apps that the benchmarks let work off a queue: ``celery -A benchmarks.draining_apps:fleet worker``."""

from __future__ import annotations

from functools import cache
from typing import Any

import redis
from celery import Celery

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from shared.settings import load_settings
from shared.state import StateUrl

TASK = "drain.nothing"
DONE = "drain.done"
"""Key in the database of results that counts what was done."""
QUEUES = {BrokerName.DEFAULT: "drain.redis", BrokerName.BATCH: "drain.rabbitmq"}
PREFETCH = 4
"""Celery's own default, for both."""


@cache
def counter() -> redis.Redis:
    """Return a client of the database in which the tasks count."""
    return redis.Redis.from_url(load_settings().results_url.get_secret_value())


def nothing() -> None:
    """Do what the task does: one INCR."""
    counter().incr(DONE)


def fleet_app(state: StateUrl | None = None) -> FleetCelery:
    """Make the fleet's app, with every promise on: late acknowledgement, leases, confirms, metrics' accounting."""
    declare = {BrokerName.DEFAULT: redis_queue, BrokerName.BATCH: rabbitmq_queue}
    queues = [
        QueueSpec(
            queue=declare[broker](name, "drain"),
            broker=broker,
            service="drain",
            pool=Pool.THREADS,
            prefetch=PREFETCH,
        )
        for broker, name in QUEUES.items()
    ]
    return FleetCelery("drain", brokers=switchyard_brokers, queues=queues, state=state, task_ignore_result=True)


def stock_app(broker: BrokerName) -> Celery:
    """Make a plain Celery app on one broker, with Celery's defaults: early acknowledgement."""
    app = Celery("drain", broker=switchyard_brokers()[broker].url.get_secret_value(), set_as_current=False)
    declared = fleet_app().queue_table[QUEUES[broker]].queue
    app.conf.update(task_queues=[declared], task_default_queue=declared.name, task_ignore_result=True)
    return app


@cache
def _app(name: str) -> Any:
    if name.startswith("fleet"):
        app = fleet_app(switchyard_state if name == "fleet_with_state" else None)
    else:
        app = stock_app(BrokerName(name.removeprefix("stock_")))
    app.task(name=TASK)(nothing)
    return app


def __getattr__(name: str) -> Any:
    if name not in ("fleet", "fleet_with_state", *(f"stock_{broker.value}" for broker in QUEUES)):
        raise AttributeError(name)
    return _app(name)
