"""The fleet of the tests of large arguments: ``celery -A tests.fleet.carrying worker -Q carry.<broker>``."""

from __future__ import annotations

import re
from typing import Any

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_bounds, switchyard_defaults, switchyard_large_arguments, switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from shared.routing import TaskSpec

HOME, OTHER = BrokerName.DEFAULT, BrokerName.BATCH


def queue_of(broker: str) -> str:
    """The queue of the worker of a broker."""
    return f"carry.{broker}"


def fleet(**options: Any) -> FleetCelery:
    """Make an app of the fleet, which knows the tasks by name."""
    specs = [
        QueueSpec(queue=declare(queue_of(broker), "carry"), broker=broker, service="carry", pool=Pool.THREADS)
        for broker, declare in ((HOME, redis_queue), (OTHER, rabbitmq_queue))
    ]
    return FleetCelery(
        "carry",
        **{
            "brokers": switchyard_brokers,
            "queues": specs,
            "tasks": [
                TaskSpec("carry.length", queue_of(HOME)),
                TaskSpec("carry.text", queue_of(HOME)),
                TaskSpec("carry.retried", queue_of(HOME)),
                TaskSpec("carry.letters", queue_of(OTHER), large_arguments=True),
                TaskSpec("carry.notes", queue_of(OTHER)),
            ],
            "home": HOME,
            "defaults": switchyard_defaults,
            "state": switchyard_state,
            "large_arguments": switchyard_large_arguments,
            "bounds": switchyard_bounds,
            **options,
        },
    )


app = fleet()


@app.task(name="carry.length")
def length(*texts: Any, **named: Any) -> list[int]:
    """Return how long each argument is."""
    return [len(each) for each in (*texts, *named.values())]


@app.task(name="carry.text")
def text(letter: str, length: int) -> str:
    """Return a text of so many letters."""
    return letter * length


@app.task(name="carry.retried", bind=True, max_retries=3)
def retried(self: Any, text: str) -> list[int]:
    """Retry twice; return how long the argument is, and how long what the message held in its place."""
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return [len(text), len(repr(self.request.args))]


@app.task(name="carry.letters", large_arguments=True)
def letters(*texts: Any, of: str = r"\w") -> int:
    """Count letters in texts, and in lists of texts."""
    return sum(len(re.findall(of, "".join(each))) for each in texts)


@app.task(name="carry.notes")
def notes(value: dict[str, Any]) -> list[str]:
    """Return the keys of a value, and of what is in it."""
    return [*value, *value["inner"][0]]
