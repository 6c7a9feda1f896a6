"""Tasks of chords on a Redis and on RabbitMQ, in workers that die, all of their processes, at a point of a chord's end.

``celery -A tests.fleet.chording worker -Q chording.<broker>``; ``CHORDS_DIE_AT`` names the point, which kills once.
"""

from __future__ import annotations

import os
import signal
from typing import Any, NoReturn

from kombu.utils.json import dumps

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.chords.table import ChordTable
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from shared.queues import QueueSpec, rabbitmq_queue, redis_queue

BROKERS = (BrokerName.DEFAULT, BrokerName.BATCH)
DIE_AT = "CHORDS_DIE_AT"
BEFORE_REPORT, BEFORE_END, AFTER_END = "before its report", "before the end is published", "after the end is published"
POINTS = (BEFORE_REPORT, BEFORE_END, AFTER_END)


def queue_of(broker: str) -> str:
    """The queue of the workers of a broker."""
    return f"chording.{broker}"


def _spec(broker: str) -> QueueSpec:
    declare = rabbitmq_queue if broker == BrokerName.BATCH else redis_queue
    name = queue_of(broker)
    return QueueSpec(queue=declare(name, name), broker=broker, service="chording")


class DyingTable(ChordTable):
    """The chords of a fleet, in a process that dies."""

    def report(self, *args, **options):
        die_at(BEFORE_REPORT)
        return super().report(*args, **options)

    def decide(self, *args):
        die_at(BEFORE_END)
        return super().decide(*args)

    def end(self, *args):
        die_at(AFTER_END)
        return super().end(*args)


app = FleetCelery(
    "chording",
    brokers=switchyard_brokers,
    queues=[_spec(broker) for broker in BROKERS],
    defaults=switchyard_defaults,
    state=switchyard_state,
)
if DIE_AT in os.environ:
    app.chords = DyingTable(app.state)


def die_at(point: str) -> None:
    """Kill the processes of this worker, where it is the first to come to the point."""
    if os.environ[DIE_AT] == point and app.state.client.set(f"chording:{os.environ['CHORDS_KEY']}", point, nx=True):
        die()


def die() -> NoReturn:
    """Kill the processes of this worker."""
    os.killpg(os.getpgid(0), signal.SIGKILL)
    raise AssertionError


def note(key: str, entry: str) -> None:
    """Append to what the tasks of a test have noted."""
    app.state.client.rpush(f"chording:{key}:notes", entry)


def noted(key: str) -> list[str]:
    """What the tasks of a test have noted, in order."""
    entries: Any = app.state.client.lrange(f"chording:{key}:notes", 0, -1)
    return [entry.decode() for entry in entries]


@app.task(shared=False, name="chording.echo")
def echo(value):
    return value


@app.task(shared=False, name="chording.early", acks_late=False)
def early(value):
    return value


@app.task(shared=False, name="chording.fail")
def fail(*_):
    raise ValueError("as asked")


@app.task(shared=False, name="chording.body")
def body(results, key):
    note(key, f"body {sorted(results)}")
    return sum(results)


@app.task(shared=False, name="chording.errback")
def errback(task_id, key):
    note(key, f"errback {task_id}")


@app.task(shared=False, name="chording.until_mended", bind=True)
def until_mended(self, value, key):
    """Fail until somebody mends it; leave the signature of this call, whole, for the test to publish again."""
    if not app.state.client.exists(f"chording:{key}:mended"):
        app.state.client.set(f"chording:{key}:{value}", dumps(self.signature_from_request(self.request)))
        raise ValueError("not mended")
    return value


def mend(key: str, *, mended: bool = True) -> None:
    """Let the tasks that fail succeed, or no more."""
    client = app.state.client
    _ = client.set(f"chording:{key}:mended", 1) if mended else client.delete(f"chording:{key}:mended")


def left_by(key: str, value: int) -> Any:
    """The signature of a call that failed, as JSON; nothing before it has failed."""
    return app.state.client.get(f"chording:{key}:{value}")
