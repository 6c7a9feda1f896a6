"""One scale of urgency: 9 before 0, on every broker, and first come first served within a priority."""

from __future__ import annotations

import random

import pytest
import redis

from shared.settings import load_settings
from tests.fixtures.workers import WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, served


@pytest.mark.concept("priority queues")
@pytest.mark.parametrize("broker", BROKERS)
def test_urgent_messages_overtake_others(brokers, tmp_path, broker):
    key = f"order-{broker}"
    queue = served(broker, "prefork")
    calls = [(priority, nth) for priority in range(10) for nth in range(2)]
    random.Random(7).shuffle(calls)
    calls.sort(key=lambda call: call[1])  # within a priority, the first of the two is published first
    for priority, nth in calls:
        app.send_task("try.log", (key, f"{priority}.{nth}"), queue=queue, priority=priority)
    worker = WorkerProcess("tests.fleet.app", f"-Q{queue}", "--pool=solo", "-norder@test", log=tmp_path / "log")
    try:
        with redis.Redis.from_url(load_settings().state_url.get_secret_value(), decode_responses=True) as client:
            wait_for(lambda: client.llen(key) == len(calls), f"{len(calls)} executions")
            order = client.lrange(key, 0, -1)
    finally:
        worker.stop()
    assert order == [f"{priority}.{nth}" for priority in range(9, -1, -1) for nth in range(2)]


def test_a_call_wins_over_a_route_and_a_route_over_the_table(brokers, fleet_of_tests):
    options = fleet_of_tests.amqp.router.route({"priority": 9}, "try.parked_batch")
    assert options["priority"] == 9
    assert fleet_of_tests.amqp.router.route({}, "try.parked_batch")["priority"] == 4
    fleet_of_tests.conf.update(task_routes={"try.parked_batch": {"priority": 2}})
    assert fleet_of_tests.amqp.router.route({}, "try.parked_batch")["priority"] == 2
