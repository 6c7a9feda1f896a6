"""Tasks with a fleet-wide rate limit outlive their workers, and wait while shared state is out of reach."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import count
from urllib.parse import urlsplit

import pytest

from shared.names import BrokerName
from shared.queues import Pool
from tests.fixtures.brokers import environment
from tests.fixtures.proxy import proxy_to
from tests.fixtures.workers import WorkerProcess
from tests.fleet.concepts import app, noted, queue_of
from tests.fleet.inspection import wait_for
from tests.fleet.tables import WORKERS

APP = "tests.fleet.concepts"
NAMES = (f"limit-faults-{number}" for number in count())
BROKERS = (BrokerName.DEFAULT, BrokerName.BATCH)


@pytest.fixture(autouse=True)
def _no_leftovers(brokers):
    yield
    with app.state.client as client:
        client.delete(*client.keys("fleet.limit:*"), *client.keys("fleet.delayed*"), "concept:died")


@pytest.fixture
def start(brokers, tmp_path):
    with ExitStack() as stack:

        def start_worker(target, pool=Pool.PREFORK, *, of=APP):
            name = next(NAMES)
            options = (f"-Q{queue_of(target, pool)}", f"--pool={pool}", "-c2", f"-n{name}@limits", "--without-mingle")
            worker = WorkerProcess(of, *options, log=tmp_path / name)
            stack.callback(worker.stop)
            return worker

        yield start_worker


@pytest.fixture
def key():
    return next(NAMES)


def send(task, *args, target, pool=Pool.PREFORK):
    return app.send_task(f"concept.{task}", args, queue=queue_of(target, pool))


def have_run(key, number: int) -> bool:
    return len(noted(key)) >= number


@pytest.mark.parametrize("target", BROKERS)
def test_nothing_is_lost_when_workers_are_killed(start, key, target):
    for number in range(24):
        send("limited", key, number, target=target)
    for done in (3, 9, 15):
        worker = start(target)
        wait_for(partial(have_run, key, done), "some to run", 60)
        worker.kill()
    start(target)
    wait_for(lambda: {int(value) for _, value in noted(key)} == set(range(24)), "all to run", 90)


@pytest.mark.parametrize("target", BROKERS)
def test_a_worker_that_dies_when_a_task_is_stored_causes_no_second_execution_on_redis(start, key, target):
    for number in range(4):
        send("limited", key, number, target=target)
    dying = start(target, of="tests.fleet.dying")
    dying.process.wait(30)
    start(target)
    wait_for(lambda: {int(value) for _, value in noted(key)} == set(range(4)), "all to run", 60)
    last = send("limited", key, "last", target=target)
    last.get(timeout=60)
    wait_for(lambda: not app.delays.by_queue(), "nothing to wait any more")
    if target == BrokerName.DEFAULT:
        assert len(noted(key)) == 5


@pytest.mark.parametrize(("target", "pool"), WORKERS)
def test_limited_tasks_wait_for_shared_state_and_others_do_not(start, brokers, key, target, pool):
    url = brokers["YARD_STATE_URL"]
    port = urlsplit(url).port or 0
    with proxy_to(port) as proxy, environment({**brokers, "YARD_STATE_URL": url.replace(f":{port}", f":{proxy.port}")}):
        worker = start(target, pool)
        proxy.refuse()
        limited = send("limited", key, "limited", target=target, pool=pool)
        wait_for(lambda: "wait for shared state" in worker.output, "the worker to say so")
        assert send("echo", "other work", target=target, pool=pool).get(timeout=30) == "other work"
        assert not noted(key)
        proxy.accept()
        assert limited.get(timeout=30) == "limited"
        worker.stop()
