"""The fleet of the chords that must end, for ``celery -A tests.chaos.chord_fleet worker``.

A body and an errback write down that they ran, with the dispatch that their message is of.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.chords.dispatching import HEADER
from shared.queues import QueueSpec
from shared.routing import TaskSpec
from shared.secret import SecretStr
from tests.chaos.records import RECEIVED, STARTED, note
from tests.chaos.setup import VARIABLE, Setup

REDIS, RABBITMQ = "redis", "rabbitmq"
BROKERS = (REDIS, RABBITMQ)
WORK, FAIL, BODY, ERRBACK, UNKNOWN = "chords.work", "chords.fail", "chords.body", "chords.errback", "chords.unknown"
MEMBER_SECONDS = 0.005
MOST_DEATHS = 20
"""Members die of the kills here, and must not pass for poison."""


def queue_of(broker: str) -> str:
    """The queue of the workers of a broker."""
    return f"chords.{broker}"


def nobodys(broker: str) -> str:
    """The queue of a broker that no worker serves: what goes there is lost."""
    return f"chords.{broker}.nobodys"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChordSetup(Setup):
    """Two brokers, and a result store; ``broker`` is the Redis."""

    rabbitmq: str
    results: str


def fleet(setup: ChordSetup) -> FleetCelery:
    """Return a fleet of two brokers, which knows its tasks by name."""
    names = [name for broker in BROKERS for name in (queue_of(broker), nobodys(broker))]
    app = FleetCelery(
        "chords",
        brokers=Brokers([Broker(REDIS, SecretStr(setup.broker)), Broker(RABBITMQ, SecretStr(setup.rabbitmq))]),
        queues=[
            QueueSpec(
                queue=Queue(name, Exchange(name, type="direct"), name),
                broker=name.split(".")[1],
                service="chords",
                max_lost_executions=MOST_DEATHS,
            )
            for name in names
        ],
        tasks=[TaskSpec(name, queue_of(REDIS)) for name in (WORK, FAIL, BODY, ERRBACK, UNKNOWN)],
        state=SecretStr(str(setup.state)),
    )
    app.conf.result_backend = setup.results
    return app


def add_tasks(app: Celery, setup: ChordSetup) -> None:
    """Give a worker's app its tasks; it has none of the name ``UNKNOWN``."""

    @app.task(name=WORK, shared=False)
    def work(*_: Any) -> int:
        note(setup.records, setup.worker, RECEIVED, "member")
        time.sleep(MEMBER_SECONDS)
        return 1

    @app.task(name=FAIL, shared=False)
    def fail(*_: Any) -> None:
        raise ValueError("as asked")

    @app.task(name=BODY, bind=True, shared=False)
    def body(self: Any, results: list[int], number: int) -> int:
        note(setup.records, setup.worker, STARTED, f"body/{number}/{dispatch_of(self)}")
        return sum(results)

    @app.task(name=ERRBACK, bind=True, shared=False)
    def errback(self: Any, task_id: str, number: int) -> None:
        note(setup.records, setup.worker, STARTED, f"errback/{number}/{dispatch_of(self)}")


def dispatch_of(task: Any) -> str:
    """Return the dispatch that the message of a running task is of; stock Celery has none, and its tag is the same."""
    header = getattr(task.request, HEADER, None) or {}
    return str(header.get("dispatch") or task.request.properties.get("delivery_tag"))


def load_setup() -> ChordSetup:
    """Read the set-up of this process."""
    fields = json.loads(os.environ[VARIABLE])
    return ChordSetup(**{**fields, "records": Path(fields["records"])})


def __getattr__(name: str) -> FleetCelery:
    """Make the app when Celery's command line asks for it."""
    if name != "app":
        raise AttributeError(name)
    setup = load_setup()
    app = fleet(setup)
    add_tasks(app, setup)
    globals()["app"] = app
    return app
