"""Flower, started against each broker, shows its workers and tasks."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

from services.core.local.ports import free_ports
from shared.queues import Pool
from shared.settings import child_environment
from tests.fixtures.workers import FLOWER, ROOT, WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, served


@pytest.fixture
def worker(brokers, tmp_path, target):
    node = f"{target}.flower@test"
    started = WorkerProcess(
        "tests.fleet.app", f"-Q{served(target, Pool.PREFORK)}", "-c1", "-E", f"-n{node}", log=tmp_path / "worker"
    )
    yield node
    started.stop()


@pytest.fixture
def flower(brokers, tmp_path, target):
    """Flower over one broker; yields what asks its API."""
    assert FLOWER.is_dir(), "Flower is not installed: run `make test`, or `make test-contract`"
    [port] = free_ports(1)
    url = app.brokers[target].url.get_secret_value()
    command = [sys.executable, "-m", "celery", "-A", "tests.fleet.app", "-b", url, "flower", "--address=127.0.0.1"]
    with (tmp_path / "flower").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--port={port}"], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
            env=child_environment({"FLOWER_UNAUTHENTICATED_API": "true", "PYTHONPATH": str(FLOWER)}),
        )  # fmt: skip

    def ask(path: str) -> Any:
        assert process.poll() is None, (tmp_path / "flower").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{path}", timeout=10) as answer:
                return json.load(answer)
        except (urllib.error.HTTPError, urllib.error.URLError, ConnectionError):
            return {}

    yield ask
    process.terminate()
    try:
        process.wait(20)
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.concept("monitoring")
@pytest.mark.parametrize("target", BROKERS)
def test_flower_shows_the_workers_and_tasks_of_a_broker(worker, flower, target):
    queue = served(target, Pool.PREFORK)
    shown = wait_for(lambda: flower("workers?refresh=1").get(worker), "the worker")
    assert [each["name"] for each in shown["active_queues"]] == [queue]
    wait_for(lambda: worker in flower("workers?status=1"), "the worker's events")
    result = app.send_task("try.echo", ("seen",), queue=queue)
    result.get(timeout=20)
    task = wait_for(lambda: flower("tasks").get(result.id), "the task")
    assert wait_for(lambda: flower("tasks")[result.id]["state"] == "SUCCESS", "its success")
    assert (task["name"], task["worker"]) == ("try.echo", worker)
