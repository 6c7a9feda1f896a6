"""A child process that has grown is replaced between tasks, and nothing is lost nor done twice."""

from __future__ import annotations

from collections import Counter

import pytest
from celery import chord, group

from tests.fixtures.workers import WorkerProcess
from tests.fleet import growing
from tests.fleet.growing import BROKERS, app

TASKS = 40
SECONDS = 60


@pytest.fixture
def done(brokers, request):
    """What was done, by child and number."""
    key = request.node.name
    yield key, lambda: [tuple(map(int, each.split())) for each in app.state.client.lrange(key, 0, -1)]
    app.state.client.delete(key)


def run(tmp_path, queue: str, key: str, mebibytes: int, *options: str) -> str:
    """Have a worker do the tasks; return its log."""
    log = tmp_path / "worker.log"
    worker = WorkerProcess("tests.fleet.growing", f"-Q{queue}", "-c2", f"-n{queue}@here", *options, log=log)
    try:
        members = [growing.leak.s(key, number, mebibytes).set(queue=queue) for number in range(TASKS)]
        assert group(members).apply_async().get(timeout=SECONDS) == list(range(TASKS))
        body = growing.leak.si(key, TASKS, 0).set(queue=queue)
        assert (
            chord([growing.leak.s(key, TASKS, 0).set(queue=queue)] * 3, body).apply_async().get(timeout=SECONDS)
            == TASKS
        )
    finally:
        worker.stop()
    return worker.output


@pytest.mark.parametrize("broker", BROKERS)
def test_a_child_that_has_grown_is_replaced(done, tmp_path, broker):
    key, told = done
    log = run(tmp_path, f"grow.{broker}.memory", key, 30)
    children = Counter(child for child, _ in told())
    assert Counter(number for _, number in told()) == {**dict.fromkeys(range(TASKS), 1), TASKS: 4}
    assert len(children) >= 6, "30 MiB a task, and 200 MiB a child"
    assert max(children.values()) <= 7
    assert log.count("its limit of memory (204800 KiB)") >= 4
    assert "WorkerLostError" not in log


@pytest.mark.parametrize("broker", BROKERS)
def test_a_child_that_has_done_its_tasks_is_replaced(done, tmp_path, broker):
    key, told = done
    log = run(tmp_path, f"grow.{broker}.tasks", key, 0)
    children = Counter(child for child, _ in told())
    assert Counter(number for _, number in told()) == {**dict.fromkeys(range(TASKS), 1), TASKS: 4}
    assert max(children.values()) == 5
    assert "WorkerLostError" not in log


def test_the_command_line_wins_over_the_table(done, tmp_path):
    key, told = done
    run(tmp_path, "grow.default.tasks", key, 0, "--max-tasks-per-child=20")
    children = Counter(child for child, _ in told())
    assert 5 < max(children.values()) <= 20
