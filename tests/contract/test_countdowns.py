"""Tasks that a foreign publisher leaves to wait in a worker for their time do not keep others from running."""

from __future__ import annotations

import pytest
from celery import Celery

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
    with Celery("foreign", broker=app.brokers[broker].url.get_secret_value(), set_as_current=False) as foreign:
        foreign.conf.task_queues = [app.queue_table[queue].queue]
        for _ in range(HELD):
            foreign.send_task("try.echo", ("late",), queue=queue, countdown=3600)
    with app.on_broker(broker):
        inspect = app.control.inspect([NODE], timeout=1)
        wait_for(lambda: len((inspect.scheduled() or {}).get(NODE, ())) == HELD, "the worker to hold them")
    assert app.send_task("try.echo", ("now",), queue=queue).get(timeout=30) == "now"
