"""A fleet for what goes wrong: bad messages, poison, time limits.  ``celery -A tests.fleet.mishaps worker``.

Each broker has a queue for each pool; what runs is noted in shared state, where a test sees it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import redis
from celery.exceptions import SoftTimeLimitExceeded

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from shared.settings import load_settings

BROKERS = (BrokerName.DEFAULT, BrokerName.BATCH)


def queue_of(broker: str, pool: str) -> str:
    return f"mishap.{broker}.{pool}"


def _spec(broker: str, pool: Pool, name: str | None = None, prefetch: int = 1) -> QueueSpec:
    declare = rabbitmq_queue if broker == BrokerName.BATCH else redis_queue
    queue = declare(name or queue_of(broker, pool), f"mishap.{broker}")
    return QueueSpec(queue=queue, broker=broker, service="mishap", pool=pool, prefetch=prefetch)


def fetched_ahead(broker: str) -> str:
    """A queue of which a worker holds many messages."""
    return f"mishap.{broker}.ahead"


def _fleet(**options) -> FleetCelery:
    fleet = FleetCelery(
        "mishap",
        brokers=switchyard_brokers,
        queues=[
            *(_spec(broker, pool) for broker in BROKERS for pool in Pool),
            *(_spec(broker, Pool.THREADS, fetched_ahead(broker), prefetch=20) for broker in BROKERS),
        ],
        defaults=switchyard_defaults,
        **options,
    )
    fleet.conf.broker_transport_options = {"lease_seconds": 2.0}  # what a killed worker held on Redis comes back sooner
    return fleet


app = _fleet(state=switchyard_state)
without_state = _fleet(include=["tests.fleet.mishaps"])


def state() -> redis.Redis:
    return redis.Redis.from_url(load_settings().state_url.get_secret_value(), decode_responses=True)


def note(key: str, value: str) -> None:
    """Append to a list in shared state."""
    with state() as client:
        client.rpush(f"mishaps:{key}", value)


def noted(key: str) -> list[str]:
    with state() as client:
        return list(client.lrange(f"mishaps:{key}", 0, -1))


def task(name, **options):
    """Register a task with both apps."""

    def register(function):
        without_state.task(name=name, **options)(function)
        return app.task(name=name, **options)(function)

    return register


@task("mishap.good")
def good(key, number):
    note(key, number)
    return number


@task("mishap.slow")
def slow(key, seconds):
    note(key, "began")
    time.sleep(seconds)
    note(key, "ended")


@task("mishap.kill_process")
def kill_process(key):
    """Kill the process that it runs in: a child in prefork, the worker elsewhere."""
    note(key, str(os.getpid()))
    os.kill(os.getpid(), signal.SIGKILL)


@task("mishap.kill_worker")
def kill_worker(key):
    """Kill parent and children."""
    note(key, str(os.getpid()))
    os.killpg(os.getpgid(0), signal.SIGKILL)


@task("mishap.kill_later")
def kill_later(key, seconds):
    note(key, str(os.getpid()))
    time.sleep(seconds)
    os.killpg(os.getpgid(0), signal.SIGKILL)


@task("mishap.exit")
def leave(key):
    note(key, str(os.getpid()))
    sys.exit(1)


@task("mishap.sleep_with_cleanup")
def sleep_with_cleanup(key, seconds):
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        note(key, str(time.time()))
        return "cleaned up"
    return "slept"


@task("mishap.sleep_limited", soft_time_limit=1)
def sleep_limited(seconds):
    time.sleep(seconds)


@task("mishap.ignore_limits")
def ignore_limits(seconds):
    """Go on past its soft limit."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            time.sleep(max(0.0, until - time.monotonic()))
        except SoftTimeLimitExceeded:
            continue


@task("mishap.gather")
def gather(results):
    return results


@task("mishap.tell")
def tell(request, error, traceback):
    """Note the failure of another task; Celery calls it in the process that records the failure."""
    note(f"errback-{request.id}", type(error).__name__)
