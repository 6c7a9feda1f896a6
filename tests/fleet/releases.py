"""One fleet in two releases: ``celery -A tests.fleet.releases:old worker`` and ``…:new``.

In the new one a task takes a person where it took a name, one takes two names where it took one, and there is one task
more.
"""

from __future__ import annotations

from typing import Any

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from tests.fleet.mishaps import note

BROKERS = (BrokerName.DEFAULT, BrokerName.BATCH)
GREET, ADDED, FAIL, AGAIN = "release.greet", "release.added", "release.fail", "release.again"
WIDENED = "release.widened"


def queue_of(broker: str) -> str:
    return f"release.{broker}"


def _fleet(version: int, **options: Any) -> FleetCelery:
    declare = {BrokerName.DEFAULT: redis_queue, BrokerName.BATCH: rabbitmq_queue}
    fleet = FleetCelery(
        "release",
        brokers=switchyard_brokers,
        queues=[
            QueueSpec(
                queue=declare[broker](queue_of(broker), f"release.{broker}"),
                broker=broker,
                service="release",
                pool=Pool.THREADS,
                concurrency=1,
            )
            for broker in BROKERS
        ],
        defaults=switchyard_defaults,
        state=switchyard_state,
        message_version=version,
        **options,
    )
    fleet.conf.broker_transport_options = {"lease_seconds": 2.0}
    return fleet


old, new = _fleet(1), _fleet(2)
not_replaced = _fleet(1)
not_replaced.newer_messages_seconds = 0.0


def in_old(name: str, **options: Any) -> Any:
    def register(function: Any) -> Any:
        not_replaced.task(name=name, shared=False, **options)(function)
        return old.task(name=name, shared=False, **options)(function)

    return register


@in_old(GREET, bind=True)
def greet_by_name(self, key, name):
    note(key, f"old {name}")


@in_old(FAIL)
def fail(key):
    raise ValueError(key)


@in_old(AGAIN, bind=True)
def again_by_name(self, key, name):
    if not self.request.retries:
        raise self.retry(countdown=0.1)
    note(key, f"old {name}")


@in_old(WIDENED, bind=True)
def widened_by_name(self, key, name):
    note(key, f"old {name}")


def with_person(task, version, args, kwargs):
    """Version 2 takes a person where version 1 took a name."""
    key, name, *rest = args
    return (key, {"name": name}, *rest), kwargs


def with_second(task, version, args, kwargs):
    """Version 2 takes a second name."""
    return (*args, "second"), kwargs


@new.task(shared=False, name=WIDENED, bind=True, upgrade_arguments=with_second)
def widened(self, key, first, second):
    note(key, f"new {first} {second}")


@new.task(shared=False, name=GREET, bind=True, upgrade_arguments=with_person)
def greet(self, key, person):
    """Greet a person; it is bound, for Celery runs an unbound errback within the task that failed."""
    note(key, f"new {person['name']}")


@new.task(shared=False, name=AGAIN, bind=True, upgrade_arguments=with_person)
def again(self, key, person):
    if not self.request.retries:
        raise self.retry(countdown=0.1)
    note(key, f"new {person['name']}")


@new.task(shared=False, name=FAIL)
def fail_again(key):
    raise ValueError(key)


@new.task(shared=False, name=ADDED)
def added(key):
    note(key, "added")
