"""Tasks that are acknowledged before they are done, on each broker and in each pool, and die there when asked to.

Each notes its steps in shared state.  ``without_state`` is the same fleet without shared state.
"""

from __future__ import annotations

import os
import signal
import time
from itertools import product

from celery.exceptions import Reject

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue

BROKERS = (BrokerName.DEFAULT, BrokerName.BATCH)
POOLS = (Pool.PREFORK, Pool.THREADS, Pool.GEVENT, Pool.SOLO)
BEFORE, AFTER = "before", "after"
"""Where, seen from the acknowledgement, the first execution of a task comes to a halt."""


def queue_of(broker: str, pool: str) -> str:
    """The queue of the workers of a broker and a pool."""
    return f"ack.{broker}.{pool}"


def _spec(broker: str, pool: Pool) -> QueueSpec:
    declare = rabbitmq_queue if broker == BrokerName.BATCH else redis_queue
    return QueueSpec(queue=declare(queue_of(broker, pool), f"ack.{broker}"), broker=broker, service="ack", pool=pool)


def _fleet(**options) -> FleetCelery:
    return FleetCelery(
        "ack",
        brokers=switchyard_brokers,
        queues=[_spec(broker, pool) for broker, pool in product(BROKERS, POOLS)],
        defaults=switchyard_defaults,
        **options,
    )


app = _fleet(state=switchyard_state)
without_state = _fleet()
state_of_tests = app.state


def task(**options):
    """Register a task in both apps, and in no other of this process."""

    def register(run):
        for fleet in (app, without_state):
            fleet.task(shared=False, **options)(run)
        return run

    return register


def note(key: str, step: str) -> int:
    """Append to the steps of a task; return how many there are."""
    return int(state_of_tests.client.rpush(f"steps:{key}", step))


def as_text(answer: bytes | str) -> str:
    """Decode what redis-py may have decoded already, by its types."""
    return answer if isinstance(answer, str) else answer.decode()


def steps(key: str) -> list[str]:
    """What a task has noted."""
    return [as_text(step) for step in state_of_tests.client.lrange(f"steps:{key}", 0, -1)]


@task(name="ack.by_hand", bind=True)
def by_hand(self, key, halt, how="sleep"):
    """Acknowledge; the first execution halts before or after it."""
    first = note(key, "began") == 1
    if first and halt == BEFORE:
        come_to_a_halt(how)
    note(key, f"told {self.acknowledge()}")
    if first and halt == AFTER:
        come_to_a_halt(how)
    note(key, "done")
    return "done"


@task(name="ack.early", bind=True, acks_late=False)
def early(self, key, how="sleep"):
    """Halt; it was acknowledged before it began."""
    note(key, "began")
    note(key, f"told {self.acknowledge()}")
    come_to_a_halt(how)
    note(key, "done")
    return "done"


@task(name="ack.twice", bind=True)
def twice(self, key):
    return [self.acknowledge(), self.acknowledge()]


@task(name="ack.after_a_sign", bind=True)
def after_a_sign(self, key, another=None):
    """Acknowledge when the test says so, and end at once or after another sign."""
    note(key, "began")
    wait_for_sign(key)
    told = self.acknowledge()
    note(key, f"told {told}")
    if another:
        wait_for_sign(another)
    return told


@task(name="ack.reject", bind=True)
def reject(self):
    self.acknowledge()
    raise Reject("as asked", requeue=True)


@task(name="ack.retry", bind=True, max_retries=3)
def retry(self, key):
    note(key, f"told {self.acknowledge()}")
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries


@task(name="ack.quick", acks_late=False)
def quick(number):
    return number


@task(name="ack.body")
def body(numbers):
    return numbers


@task(name="ack.failed")
def failed(task_id, key):
    """An errback."""
    note(key, f"failed {task_id}")


def come_to_a_halt(how: str) -> None:
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "sleep":
        time.sleep(3600)
    elif how == "sign":
        wait_for_sign(how)


def wait_for_sign(key: str) -> None:
    """Wait until the test gives the sign for a task."""
    deadline = time.monotonic() + 120
    while not state_of_tests.client.exists(f"sign:{key}") and time.monotonic() < deadline:
        time.sleep(0.05)


def give_sign(key: str) -> None:
    """Let a task go on."""
    state_of_tests.client.set(f"sign:{key}", 1)
