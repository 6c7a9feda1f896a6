"""A queue that is paused is paused for every worker, also for those that start later, until it is resumed."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from shared.pauses import PauseTable
from shared.queues import Pool
from tests.fixtures.workers import WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import WORKERS, served


@pytest.fixture
def pauses(brokers):
    table = PauseTable(app.state)
    yield table
    for name in table.paused():
        table.resume(name)


@contextmanager
def worker(queue: str, pool: str, folder, name: str):
    started = WorkerProcess(
        "tests.fleet.app", f"-Q{queue}", "-c1", f"--pool={pool}", f"-n{name}@pauses", "--without-mingle",
        log=folder / f"{name}.log",
    )  # fmt: skip
    try:
        yield started
    finally:
        started.stop()


POOLS_AND_BROKERS = [(broker, pool) for broker, pool in WORKERS if pool != Pool.PREFORK or broker == "batch"]


@pytest.mark.parametrize(("broker", "pool"), POOLS_AND_BROKERS)
def test_a_pause_holds_for_workers_that_run_and_for_those_that_start(pauses, tmp_path, broker, pool):
    queue = served(broker, pool)
    with worker(queue, pool, tmp_path, "first") as first:
        assert app.send_task("try.echo", (1,), queue=queue).get(timeout=30) == 1
        assert pauses.pause(queue, "a test")
        wait_for(lambda: "is paused" in first.output, "the worker to leave the queue")
        waiting = app.send_task("try.echo", (2,), queue=queue)
        with worker(queue, pool, tmp_path, "second") as second:
            assert "is paused" in second.output
            assert waiting.state == "PENDING"
            assert pauses.resume(queue)
            assert waiting.get(timeout=30) == 2
            wait_for(lambda: "is resumed" in second.output, "the second to take it up, too")


def test_whoever_paused_first_is_told(pauses):
    assert (pauses.pause("q", "ada"), pauses.pause("q", "bob")) == (True, False)
    assert pauses.paused()["q"].by == "ada"
    assert pauses.is_paused("q")
    assert (pauses.resume("q"), pauses.resume("q"), pauses.is_paused("q")) == (True, False, False)
