"""Each execution is counted once, with its outcome, queue and broker; depths are those that the brokers hold."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import redis

from shared.brokers import switchyard_brokers
from shared.depths import QueueDepth, due_at, measured_by
from shared.metrics import Reading, scrape
from shared.transports.claims import HELD, LEASES
from tests.fixtures.brokers import environment
from tests.fixtures.workers import WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import messages, wait_for
from tests.fleet.tables import BROKERS, QUEUES, WORKERS, parked, served


def send(worker, task, *args, **options):
    return app.send_task(task, args, queue=served(*worker), **options)


def outcomes(readings: list[Reading]) -> Counter:
    """Executions by task and outcome."""
    found: Counter = Counter()
    for name, labels, value in readings:
        if name.startswith("celery_task_") and name.endswith("_total"):
            found[labels["name"], name.removeprefix("celery_task_").removesuffix("_total")] += int(value)
    return found


EXPECTED = {
    ("try.echo", "succeeded"): 2,
    ("try.fail", "failed"): 1,
    ("try.reject", "failed"): 1,
    ("try.ignore", "ignored"): 1,
    ("try.retry_here", "retried"): 2,
    ("try.retry_here", "succeeded"): 1,
    ("try.sleep", "revoked"): 1,
}
RECEIVED = {
    (task, "received"): sum(count for (name, _), count in EXPECTED.items() if name == task) for task, _ in EXPECTED
}


@pytest.mark.parametrize("worker", WORKERS, ids="-".join)
def test_every_outcome_is_counted_once_in_every_pool(brokers, tmp_path, worker):
    process = WorkerProcess(
        "tests.fleet.counted",
        f"-Q{served(*worker)}",
        f"--pool={worker[1]}",
        "-c1",
        "-ncount@here",
        log=tmp_path / "log",
    )
    try:
        url = wait_for(process.metrics_url, "the worker to say where its metrics are")
        send(worker, "try.sleep", 0, expires=-1)
        for task, *args in (
            ("try.echo", 1),
            ("try.fail",),
            ("try.reject",),
            ("try.ignore",),
            ("try.retry_here",),
            ("try.echo", 2),
        ):
            send(worker, task, *args)
        wait_for(lambda: {key: outcomes(scrape(url))[key] for key in EXPECTED} == EXPECTED, "the last outcome")
        readings = scrape(url)
    finally:
        process.stop()
    counted = {key: count for key, count in outcomes(readings).items() if count and key[1] != "started"}
    assert counted == {**EXPECTED, **RECEIVED, ("try.retry_here", "sent"): 2}
    labels = [labels for name, labels, _ in readings if name == "celery_task_succeeded_total"]
    assert all(found["queue_name"] == served(*worker) and found["broker"] == worker[0] for found in labels)
    assert {found["hostname"] for found in labels} == {"here"}
    (active,) = [value for name, _, value in readings if name == "celery_worker_tasks_active"]
    assert active == 0
    waits = [value for name, found, value in readings if name == "celery_task_queue_wait_time_count"]
    assert sum(waits) == sum(count for (_, outcome), count in outcomes(readings).items() if outcome == "started")


@pytest.mark.parametrize("broker", ["default", "batch"])
def test_a_message_that_comes_again_is_counted_as_redelivered(brokers, tmp_path, broker):
    worker = (broker, "prefork")
    again = WorkerProcess("tests.fleet.counted", f"-Q{served(*worker)}", "-c1", "-nagain@here", log=tmp_path / "again")
    try:
        url = wait_for(again.metrics_url, "the worker to say where its metrics are")
        send(worker, "try.sleep", 60)
        wait_for(lambda: outcomes(scrape(url))["try.sleep", "started"], "it to start")
        again.kill()
        again = WorkerProcess(
            "tests.fleet.counted", f"-Q{served(*worker)}", "-c1", "-nmore@here", log=tmp_path / "more"
        )
        url = wait_for(again.metrics_url, "the worker to say where its metrics are")

        def redelivered():
            readings = scrape(url)
            return sum(found.value for found in readings if found.name == "switchyard_task_redelivered_total")

        wait_for(lambda: redelivered() == 1, "the message to come again", 60)
    finally:
        again.kill()
    if broker != "batch":
        with app.connection_for_write(broker) as connection:
            connection.default_channel.client.delete(HELD, LEASES)
    messages(app.brokers[broker], served(*worker))


def depth_of(broker: str, queue: str) -> QueueDepth | None:
    (measuring,) = [each for each in measured_by(switchyard_brokers(), QUEUES) if each.alias == broker]
    return next((depth for depth in measuring.measure() or () if depth.queue == queue), None)


def rabbitmq_version() -> int:
    """The major version; from 4 on RabbitMQ tells nobody how many messages wait at each priority."""
    with app.connection_for_write("batch") as connection:
        connection.connect()
        return int(connection.connection.server_properties["version"].partition(".")[0])


@pytest.mark.parametrize("broker", BROKERS)
def test_depth_is_what_waits_by_priority(brokers, broker):
    with app.connection_for_write(broker) as connection:
        app.queue_table[parked(broker)].queue.bind(connection.default_channel).declare()
    messages(app.brokers[broker], parked(broker))
    for priority in (0, 4, 4, 9):
        app.send_task("try.echo", (1,), queue=parked(broker), priority=priority)
    depth = depth_of(broker, parked(broker))
    assert depth is not None
    assert depth.ready == 4
    if broker == "batch" and rabbitmq_version() >= 4:
        assert depth.by_priority == {}
        return

    def counted() -> dict[int, int]:
        found = depth_of(broker, parked(broker)) or depth
        return {priority: count for priority, count in found.by_priority.items() if count}

    # RabbitMQ's report is up to five seconds old, and may be of messages of the test before.
    wait_for(lambda: counted() == {0: 1, 4: 2, 9: 1}, "a report of these by priority")


@pytest.mark.parametrize("broker", BROKERS)
def test_messages_that_a_worker_holds_are_unacknowledged(brokers, tmp_path, broker):
    worker = (broker, "prefork")
    process = WorkerProcess("tests.fleet.app", f"-Q{served(*worker)}", "-c1", "-nhold@test", log=tmp_path / "log")
    try:
        send(worker, "try.sleep", 60)

        def held():
            depth = depth_of(broker, served(*worker))
            return depth is not None and depth.unacknowledged == 1 and depth.ready == 0

        wait_for(held, "one unacknowledged message")
    finally:
        process.kill()
    if broker != "batch":  # RabbitMQ has taken it back; on Redis the next worker would, when its lease has run out
        with app.connection_for_write(broker) as connection:
            connection.default_channel.client.delete(HELD, LEASES)
    messages(app.brokers[broker], served(*worker))


@pytest.mark.parametrize("broker", BROKERS)
def test_the_oldest_message_is_as_old_as_it_is_wherever_its_priority_puts_it(brokers, broker):
    with app.connection_for_write(broker) as connection:
        app.queue_table[parked(broker)].queue.bind(connection.default_channel).declare()
    messages(app.brokers[broker], parked(broker))
    assert (depth_of(broker, parked(broker)) or QueueDepth("", 0, 0)).oldest_seconds == 0
    published = time.time()
    app.send_task("try.echo", ('"published_at": 1',), queue=parked(broker), priority=9)
    app.send_task("try.echo", (2,), queue=parked(broker), priority=9, headers={"note": '"published_at": 2'})

    def age():
        """RabbitMQ knows the second, and its report may still be of the messages before."""
        found = (depth_of(broker, parked(broker)) or QueueDepth("", 0, 0)).oldest_seconds or 0
        return 0 < found <= time.time() - published + 1

    wait_for(age, "the age of the oldest", 20)
    messages(app.brokers[broker], parked(broker))


def test_a_message_that_was_delayed_is_as_old_as_it_is_late(brokers):
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    assert due_at(b"1", long_ago.isoformat().encode()) == pytest.approx(long_ago.timestamp())
    assert due_at(b"5000000000.5", b"") == 5000000000.5
    assert due_at(b"", b"") is None


def test_an_entry_that_is_no_claim_spoils_no_count(brokers):
    with redis.Redis.from_url(app.brokers["critical"].url.get_secret_value()) as client:
        client.hset(HELD, mapping={"garbage": "{", "number": "7"})
        try:
            depth = depth_of("critical", parked("critical"))
        finally:
            client.delete(HELD)
    assert depth is not None
    assert depth.unacknowledged == 0


def test_a_broker_that_cannot_be_asked_has_no_depth(brokers):
    nowhere = {
        "YARD_BROKER_BATCH_URL": "amqp://nobody@127.0.0.1:1//",
        "YARD_BROKER_DEFAULT_URL": "redis://127.0.0.1:1/0",
    }
    with environment(nowhere):
        measured = {each.alias: each.measure() for each in measured_by(switchyard_brokers(), QUEUES)}
    assert measured["batch"] is None
    assert measured["default"] is None
    assert measured["critical"] is not None
