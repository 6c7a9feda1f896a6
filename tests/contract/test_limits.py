"""Rate limits, Celery's for each worker and the fleet's for all of them, on each broker and in each pool."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from itertools import count

import pytest
from celery import chord
from celery.exceptions import TaskRevokedError

from shared.limits import EARLY_SECONDS
from tests.fixtures.workers import WorkerProcess
from tests.fleet.concepts import app, noted, queue_of
from tests.fleet.inspection import wait_for
from tests.fleet.tables import WORKERS

pytestmark = [
    pytest.mark.concept("rate limit"),
    pytest.mark.parametrize(("target", "pool"), WORKERS, scope="module"),
]
NAMES = (f"limits-{number}" for number in count())
MEASURED_SECONDS = 0.1
"""How exactly a task can tell when it began."""


@pytest.fixture(scope="module")
def queue(brokers, target, pool, tmp_path_factory):
    """The queue of two workers."""
    folder = tmp_path_factory.mktemp("workers")
    with ExitStack() as stack:
        workers = []
        for name in ("one", "two"):
            options = (
                f"-Q{queue_of(target, pool)}",
                f"--pool={pool}",
                "-c2",
                f"-n{name}.{target}.{pool}@limits",
                "--without-mingle",
            )
            workers.append(WorkerProcess("tests.fleet.concepts", *options, log=folder / name, ready=False))
            stack.callback(workers[-1].stop)
        for worker in workers:
            worker.wait_until_ready()
        yield queue_of(target, pool)


@pytest.fixture(autouse=True)
def _no_leftovers(brokers):
    yield
    with app.state.client as client:
        client.delete(*client.keys("fleet.limit:*"), *client.keys("fleet.delayed*"), "nothing")


@pytest.fixture
def key():
    return next(NAMES)


def send(task, *args, queue, **options):
    return app.send_task(f"concept.{task}", args, queue=queue, **options)


def assert_within(times, per_second: float, burst: int = 1) -> None:
    """Check that no span of time has more starts than a bucket of tokens gives away in it."""
    times = sorted(times)
    for first in range(len(times)):
        for last in range(first + 1, len(times)):
            span = times[last] - times[first] + EARLY_SECONDS + MEASURED_SECONDS
            assert last - first + 1 <= burst + span * per_second, (times, first, last)


@pytest.mark.parametrize("task", ["limited", "annotated_fleet"])
def test_a_task_starts_no_more_often_than_the_whole_fleet_may(queue, key, task):
    for number in range(16):
        send(task, key, number, queue=queue)
    wait_for(lambda: len(noted(key)) == 16, "all tasks to run", 60)
    assert sorted(int(what) for _, what in noted(key)) == list(range(16))
    assert_within([at for at, _ in noted(key)], 4)


def test_those_that_came_first_start_first(queue, key):
    for number in range(10):
        send("limited", key, number, queue=queue)
        wait_for(lambda: ran_or_waits(key, queue) > number, "a worker to have taken it")  # noqa: B023 - at once
    wait_for(lambda: len(noted(key)) == 10, "all tasks to run", 60)
    started = [int(what) for _, what in noted(key)]
    assert sorted(started) == list(range(10))
    near = 2  # of two that were let go one after the other, a busy machine may run the second first
    assert all(abs(place - number) <= near for place, number in enumerate(started)), started


def ran_or_waits(key, queue) -> int:
    return app.delays.by_queue().get(queue, 0) + len(noted(key))


def test_other_work_goes_on_while_many_wait(queue, key):
    for number in range(30):
        send("rare", key, number, queue=queue)
    assert [send("echo", number, queue=queue).get(timeout=20) for number in range(20)] == list(range(20))
    wait_for(lambda: app.delays.by_queue().get(queue) == 29, "all but one to wait in shared state")
    assert len(noted(key)) == 1


def test_each_value_of_the_key_has_a_limit_of_its_own(queue, key):
    customers = ("ada", "grace", "alan")
    for customer in customers * 4:
        send("keyed", key, kwargs={"customer": customer}, queue=queue)
    wait_for(lambda: len(noted(key)) == 12, "all tasks to run", 60)
    assert Counter(customer for _, customer in noted(key)) == dict.fromkeys(customers, 4)
    for customer in customers:
        assert_within([at for at, who in noted(key) if who == customer], 2)


def test_after_a_pause_some_start_together(queue, key):
    for number in range(8):
        send("bursting", key, number, queue=queue)
    wait_for(lambda: len(noted(key)) == 8, "all tasks to run", 60)
    assert_within([at for at, _ in noted(key)], 1, burst=5)


def test_what_waits_for_its_turn_can_be_revoked_and_expires(queue, key):
    first = send("rare", key, "first", queue=queue)
    wait_for(lambda: noted(key), "the first one to run")
    revoked = send("rare", key, "revoked", queue=queue)
    wait_for(lambda: app.delays.by_queue().get(queue) == 1, "the second one to wait")
    [waiting] = app.control.inspect().scheduled()["delayed@fleet"]
    assert (waiting["request"]["id"], bool(waiting["eta"])) == (revoked.id, True)
    revoked.revoke()
    with pytest.raises(TaskRevokedError):
        revoked.get(timeout=20)
    assert first.get(timeout=20) is None
    send("limited", key, "one", queue=queue)
    for number in range(8):
        send("limited", key, number, queue=queue)
    expired = send("limited", key, "expired", queue=queue, expires=1)
    with pytest.raises(TaskRevokedError):
        expired.get(timeout=20)
    wait_for(lambda: len(noted(key)) == 10, "the others to run")
    assert "expired" not in {what for _, what in noted(key)}


def test_limited_members_of_a_chord_wait_and_its_body_runs(queue, key):
    member, body = app.signature("concept.limited", queue=queue), app.signature("concept.echo", queue=queue)
    result = chord([member.clone((key, number)) for number in range(6)], body)()
    assert sorted(result.get(timeout=60)) == list(range(6))


def test_the_limit_of_a_worker_is_held_by_each(queue, key):
    for number in range(12):
        send("annotated", key, number, queue=queue)
    wait_for(lambda: len(noted(key)) == 12, "all tasks to run", 60)
    assert_within([at for at, _ in noted(key)], 2 * 2, burst=2)
