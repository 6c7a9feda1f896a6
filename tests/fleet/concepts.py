"""Tasks with what the Celery guides say of limits, retries and base classes: ``celery -A tests.fleet.concepts worker``.

On each broker there is a queue for the workers of a pool.  What the tasks do is noted in shared state.
"""

# ruff: noqa: ARG002 - the arguments are Celery's

from __future__ import annotations

import time
from typing import Any

from celery import Task

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from tests.fleet.tables import WORKERS


def queue_of(broker: str, pool: str) -> str:
    """The queue of the worker of a broker and a pool."""
    return f"concept.{broker}.{pool}"


def _spec(broker: str, pool: Pool) -> QueueSpec:
    declare = rabbitmq_queue if broker == BrokerName.BATCH else redis_queue
    return QueueSpec(queue=declare(queue_of(broker, pool), f"concept.{broker}"), broker=broker, service="s", pool=pool)


app = FleetCelery(
    "concept",
    brokers=switchyard_brokers,
    queues=[_spec(broker, pool) for broker, pool in WORKERS],
    home=BrokerName.DEFAULT,
    defaults=switchyard_defaults,
    state=switchyard_state,
)
app.conf.update(
    task_compression="gzip",
    task_annotations={
        "concept.annotated": {"rate_limit": "2/s"},
        "concept.annotated_fleet": {"fleet_rate_limit": "4/s"},
    },
)


def note(key: str, what: object = "") -> None:
    """Note what happened to a task, and when."""
    app.state.client.rpush(f"concept:{key}", f"{time.time()} {what}")


def noted(key: str) -> list[tuple[float, str]]:
    """What was noted, in that order."""
    entries: Any = app.state.client.lrange(f"concept:{key}", 0, -1)
    found = (entry.decode().partition(" ") for entry in entries)
    return [(float(at), what) for at, _, what in found]


@app.task(shared=False, name="concept.echo")
def echo(*values):
    return values[0] if len(values) == 1 else list(values)


@app.task(shared=False, name="concept.annotated")
def annotated(key, value):
    note(key, value)


@app.task(shared=False, name="concept.annotated_fleet")
def annotated_fleet(key, value):
    note(key, value)


@app.task(shared=False, name="concept.limited", fleet_rate_limit="4/s")
def limited(key, value, seconds=0.0):
    note(key, value)
    time.sleep(seconds)
    return value


@app.task(shared=False, name="concept.keyed", fleet_rate_limit="2/s", fleet_rate_limit_key="customer")
def keyed(key, *, customer="nobody"):
    note(key, customer)


@app.task(shared=False, name="concept.bursting", fleet_rate_limit="1/s", fleet_rate_limit_burst=5)
def bursting(key, value):
    note(key, value)


@app.task(shared=False, name="concept.rare", fleet_rate_limit="1/h")
def rare(key, value):
    note(key, value)


class Unsteady(Exception):
    """What a task is retried for."""


@app.task(
    shared=False, name="concept.unsteady", bind=True, autoretry_for=(Unsteady,), max_retries=3,
    retry_backoff=0.5, retry_backoff_max=1, retry_jitter=False,
)  # fmt: skip
def unsteady(self, key, failures):
    note(key, self.request.retries)
    if self.request.retries < failures:
        raise Unsteady
    return self.request.retries


@app.task(
    shared=False, name="concept.jittery", bind=True, autoretry_for=(Unsteady,), max_retries=5, retry_backoff=1,
    retry_jitter=True, dont_autoretry_for=(KeyError,),
)  # fmt: skip
def jittery(self, key, error):
    note(key, self.request.retries)
    if error:
        raise KeyError("never tried again")
    if self.request.retries < 1:
        raise Unsteady
    return self.request.retries


class DebugTask(Task):
    """A base class as a guide writes it, of Celery's own."""

    def before_start(self, task_id, args, kwargs):
        note(args[0], "before")

    def on_success(self, retval, task_id, args, kwargs):
        note(args[0], f"success {retval}")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note(args[0], f"failure {exc}")

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note(args[0], f"after {status}")


class OwnTask(app.Task):  # type: ignore[name-defined]
    """A base class over the app's own."""

    abstract = True
    greeting = "hello"

    def on_success(self, retval, task_id, args, kwargs):
        note(args[0], f"{self.greeting} {retval}")


@app.task(shared=False, name="concept.debugged", base=DebugTask)
def debugged(key, fail=False):
    if fail:
        raise ValueError("as asked")
    return "done"


@app.task(shared=False, name="concept.own", base=OwnTask, bind=True)
def own(self, key):
    return f"{self.greeting}, {self.name}"
