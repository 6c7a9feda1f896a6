"""The fleet's app of the benchmarks: ``celery -A benchmarks.fleet_app worker -Q bench.redis``.

Every promise is on: late acknowledgement, leases, confirms, shared state, metrics.  Bulk queues fetch 64 messages ahead
for each process or thread, as stock Celery's do here; queues where urgency counts hold one.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from typing import Any
from uuid import uuid4

from celery import chord, group

from benchmarks.peers.counting import client
from benchmarks.peers.probing import BATCH_SECONDS, probed
from benchmarks.peers.tasks import BODY_RAN, body, member, nothing, spin, urgent
from shared.brokers import switchyard_brokers
from shared.bulk import publish_many as published_together
from shared.celery_app import FleetCelery
from shared.delays.entry import Delay, Entry
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from shared.worker.health import Health
from shared.worker.metrics_server import MetricsServer

REDIS, RABBITMQ = "bench.redis", "bench.rabbitmq"
URGENT_REDIS, URGENT_RABBITMQ = "bench.urgent.redis", "bench.urgent.rabbitmq"
CRITICAL = "bench.critical"
"""Queue on the broker of urgent work."""
PREFETCH = 64
NOTHING, SPIN, URGENT = "bench.nothing", "bench.spin", "bench.urgent"
MEMBER, BODY = "bench.member", "bench.body"
CHORD_SECONDS = 300.0
HOUR_SECONDS = 3600.0


def queue_specs() -> list[QueueSpec]:
    """Return the queues: for bulk and for urgent work on Redis and on RabbitMQ, and one on the critical broker."""
    default, batch, critical = BrokerName.DEFAULT, BrokerName.BATCH, BrokerName.CRITICAL
    declared = [
        (redis_queue(REDIS, "bench"), default, PREFETCH),
        (redis_queue(URGENT_REDIS, "bench"), default, 1),
        (rabbitmq_queue(RABBITMQ, "bench"), batch, PREFETCH),
        (rabbitmq_queue(URGENT_RABBITMQ, "bench"), batch, 1),
        (redis_queue(CRITICAL, "bench"), critical, 1),
    ]
    return [
        QueueSpec(queue=queue, broker=broker, service="bench", pool=Pool.PREFORK, prefetch=prefetch)
        for queue, broker, prefetch in declared
    ]


@cache
def make_app() -> FleetCelery:
    """Return the app, with its tasks."""
    made = FleetCelery(
        "bench",
        brokers=switchyard_brokers,
        queues=queue_specs(),
        state=switchyard_state,
        defaults=lambda: {**switchyard_defaults(), "task_ignore_result": True},
    )
    made.steps["worker"].update({Health, MetricsServer})
    for name, function in {NOTHING: nothing, SPIN: spin, URGENT: urgent, BODY: body}.items():
        made.task(name=name, shared=False)(function)
    made.task(name=MEMBER, shared=False, ignore_result=False)(member)
    made.set_current()
    return made


def publish_redis(number: int) -> None:
    """Publish so many tasks to Redis, one at a time."""
    _one_by_one(REDIS, number)


def publish_rabbitmq(number: int) -> None:
    """Publish so many tasks to RabbitMQ, one at a time."""
    _one_by_one(RABBITMQ, number)


def publish_many_redis(number: int) -> None:
    """Publish so many tasks to Redis together."""
    _together(REDIS, number)


def publish_many_rabbitmq(number: int) -> None:
    """Publish so many tasks to RabbitMQ together."""
    _together(RABBITMQ, number)


def fill_batch(number: int) -> None:
    """Fill the queue on RabbitMQ with tasks that compute."""
    task = make_app().tasks[SPIN]
    published_together((task.s(BATCH_SECONDS) for _ in range(number)), queue=RABBITMQ)


def probe(number: int) -> float:
    """Publish urgent tasks at an even pace; return how many seconds 99 of 100 wait for their start at most."""
    task = make_app().tasks[URGENT]
    return probed(number, lambda: task.apply_async((time.time(),), queue=CRITICAL))


def fill_urgent_redis(number: int) -> None:
    """Fill the queue on Redis where urgency counts."""
    _together(URGENT_REDIS, number)


def fill_urgent_rabbitmq(number: int) -> None:
    """Fill the queue on RabbitMQ where urgency counts."""
    _together(URGENT_RABBITMQ, number)


def group_redis(number: int) -> None:
    """Publish a group to Redis, its signatures made anew."""
    _group(REDIS, number)


def group_rabbitmq(number: int) -> None:
    """Publish a group to RabbitMQ, its signatures made anew."""
    _group(RABBITMQ, number)


def run_chord(number: int) -> None:
    """Publish a chord to Redis, and wait until its body has run."""
    tasks, counter = make_app().tasks, client()
    counter.delete(BODY_RAN)
    members = [tasks[MEMBER].s(each).set(queue=REDIS) for each in range(number)]
    chord(members, tasks[BODY].s().set(queue=REDIS)).apply_async()
    if counter.blpop([BODY_RAN], timeout=CHORD_SECONDS) is None:
        raise TimeoutError(f"The chord had not ended after {CHORD_SECONDS:g} s.")


def delay(number: int) -> None:
    """Have so many tasks wait for an hour; the first is published, and the others are stored as it is."""
    app = make_app()
    app.tasks[NOTHING].apply_async(queue=REDIS, countdown=HOUR_SECONDS)
    [(raw, _)] = app.delays.first([BrokerName.DEFAULT.value], 1)
    entry, due = Entry.decode(raw), Delay(HOUR_SECONDS, None, 0.0)
    for _ in range(number - 1):
        app.delays.store(replace(entry, id=f"{uuid4()}/{uuid4().hex}"), due)


def _one_by_one(queue: str, number: int) -> None:
    task = make_app().tasks[NOTHING]
    for _ in range(number):
        task.apply_async(queue=queue)


def _together(queue: str, number: int) -> None:
    task = make_app().tasks[NOTHING]
    published_together((task.s() for _ in range(number)), queue=queue)


def _group(queue: str, number: int) -> None:
    task = make_app().tasks[NOTHING]
    group([task.s() for _ in range(number)]).apply_async(queue=queue)


def __getattr__(name: str) -> Any:
    """Give the app when Celery's command line asks for it."""
    if name != "app":
        raise AttributeError(name)
    return make_app()
