"""The fleet of the tests of result stores: ``celery -A tests.fleet.storing worker -Q store.<broker>.<pool>``.

Its store is that of the settings, as for Switchyard's own apps; a client of another store is made by ``fleet``.
"""

from __future__ import annotations

from typing import Any

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_large_results, switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from shared.routing import TaskSpec

BROKERS = (BrokerName.CRITICAL, BrokerName.BATCH, BrokerName.DEFAULT)
POOLS = (Pool.PREFORK, Pool.THREADS, Pool.GEVENT, Pool.SOLO)


def queue_of(broker: str, pool: str = Pool.PREFORK) -> str:
    """The queue of the worker of a broker and a pool."""
    return f"store.{broker}.{pool}"


HOME_QUEUE = queue_of(BrokerName.DEFAULT, Pool.GEVENT)
NAMES = ("echo", "add", "total", "fail", "fail_with", "text", "length", "wait", "progress")


def _spec(broker: str, pool: Pool) -> QueueSpec:
    name = queue_of(broker, pool)
    declare = rabbitmq_queue if broker == BrokerName.BATCH else redis_queue
    return QueueSpec(queue=declare(name, f"store.{broker}"), broker=broker, service="store", pool=pool)


def fleet(**options: Any) -> FleetCelery:
    """Make an app of the fleet, which knows the tasks by name."""
    return FleetCelery(
        "store",
        **{
            "brokers": switchyard_brokers,
            "queues": [_spec(broker, pool) for broker in BROKERS for pool in POOLS],
            "tasks": [TaskSpec(f"store.{name}", HOME_QUEUE) for name in NAMES],
            "home": BrokerName.DEFAULT,
            "default_queue": HOME_QUEUE,
            "defaults": switchyard_defaults,
            "state": switchyard_state,
            "large_results": switchyard_large_results,
            **options,
        },
    )


app = fleet()


@app.task(name="store.echo")
def echo(*values):
    return values[0] if len(values) == 1 else list(values)


@app.task(name="store.add")
def add(x, y):
    return x + y


@app.task(name="store.total")
def total(numbers):
    return sum(numbers)


@app.task(name="store.fail")
def fail(*_):
    raise ValueError("as asked")


@app.task(name="store.fail_with")
def fail_with(message):
    raise ValueError(message)


@app.task(name="store.text")
def text(letter, length):
    """Return a text of so many letters."""
    return letter * length


@app.task(name="store.length")
def length(*texts):
    """Return how long what it was given is, member by member."""
    return [len(each) for each in (texts[0] if len(texts) == 1 and isinstance(texts[0], list) else texts)]


@app.task(name="store.wait")
def wait(key, value):
    """Say that it has begun, and return a value when it is told to."""
    app.state.client.rpush(f"{key}.begun", "begun")
    _await(key)
    return value


@app.task(name="store.progress", bind=True)
def progress(self, key, total):
    """Tell how far it is, each time that a test wants the next step."""
    for current in range(1, total + 1):
        self.update_state(state="PROGRESS", meta={"current": current, "total": total, "stage": "counting"})
        app.state.client.rpush(f"{key}.begun", current)
        _await(key)
    return total


def has_begun(key: str) -> int:
    """How often the tasks of a key have said so."""
    return int(app.state.client.llen(f"{key}.begun"))


def go_on(key: str) -> None:
    """Let one task of a key go on."""
    app.state.client.rpush(f"{key}.go", "go")


def _await(key: str) -> None:
    for _ in range(60):
        if app.state.client.blpop([f"{key}.go"], timeout=1):
            return
    raise TimeoutError(f"nobody let {key} go on")
