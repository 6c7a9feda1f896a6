"""Tasks that wait in a worker for their time do not keep others from running."""

from __future__ import annotations

import pytest

from shared.queues import Pool
from tests.fixtures.workers import WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, served

NODE = "countdowns@test"
HELD = 3


@pytest.fixture
def queue(brokers, broker, tmp_path):
    """A queue whose worker has one process and takes one message at a time; what was held is thrown away."""
    name = served(broker, Pool.PREFORK)
    worker = WorkerProcess("tests.fleet.app", f"-Q{name}", "-c1", f"-n{NODE}", log=tmp_path / "log")
    yield name
    worker.stop()
    with app.connection_for_write(broker) as connection:
        app.queue_table[name].queue.bind(connection.default_channel).purge()


@pytest.mark.parametrize("broker", BROKERS)
def test_more_tasks_with_a_countdown_than_processes_stop_nobody(queue, broker):
    for _ in range(HELD):
        app.send_task("try.echo", ("late",), queue=queue, countdown=3600)
    assert app.send_task("try.echo", ("now",), queue=queue).get(timeout=30) == "now"
    with app.on_broker(broker):
        scheduled = wait_for(lambda: app.control.inspect([NODE], timeout=1).scheduled(), "what the worker holds")
    assert len(scheduled[NODE]) == HELD
