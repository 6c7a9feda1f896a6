"""A worker that holds as much as it may takes the next message as soon as it has room, whatever its pool."""

from __future__ import annotations

from uuid import uuid4

import pytest
import redis

from shared.queues import Pool
from shared.settings import load_settings
from tests.fixtures.workers import WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, served

TASKS = 40
"""One at a time: a worker that looked for room every 2 s, as Celery's loop of greenlets does, would take 80 s."""


@pytest.mark.parametrize("pool", [Pool.PREFORK, Pool.THREADS, Pool.GEVENT, Pool.SOLO])
@pytest.mark.parametrize("broker", BROKERS)
def test_one_at_a_time_without_a_pause(brokers, broker, pool, tmp_path):
    queue, key = served(broker, Pool.PREFORK), f"full-window.{uuid4()}"
    options = [f"-Q{queue}", f"--pool={pool}", "-c1", "--prefetch-multiplier=1", f"-nwindow-{pool}@test"]
    for number in range(TASKS):
        app.send_task("try.log", (key, number), queue=queue)
    worker = WorkerProcess("tests.fleet.app", *options, log=tmp_path / "log")
    try:
        with redis.Redis.from_url(load_settings().state_url.get_secret_value()) as client:
            wait_for(lambda: client.llen(key) == TASKS, f"{TASKS} tasks, one after the other", 30)
            assert sorted(map(int, client.lrange(key, 0, -1))) == list(range(TASKS))
            client.delete(key)
    finally:
        worker.stop()
