"""Celery's own command line works for each service as Celery's documentation shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.names import QueueName, ServiceName
from shared.queues import Pool
from shared.settings import child_environment
from tests.fixtures.beats import Fired
from tests.fixtures.celery_cli import celery
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, served

SERVICES = {
    ServiceName.CORE: QueueName.CORE_DEFAULT,
    ServiceName.EMAIL_WORKER: QueueName.EMAIL_CRITICAL,
    ServiceName.FILE_WORKER: QueueName.FILE_DOCUMENTS,
}
"""A queue of each service's home broker; the three brokers are different ones."""


def node_of(service: str) -> str:
    return f"{service}@cli"


@pytest.fixture(scope="module")
def _workers(brokers, tmp_path_factory):
    """A worker of each service, without ``-Q``."""
    folder = tmp_path_factory.mktemp("services")
    with ExitStack() as stack:
        started = []
        for service in SERVICES:
            options = (f"-n{node_of(service)}", "-E", "--without-mingle", "--concurrency=1")
            started.append(WorkerProcess(f"services.{service}", *options, log=folder / service, ready=False))
            stack.callback(started[-1].stop)
        for worker in started:
            worker.wait_until_ready()
        yield


@pytest.mark.concept("remote control")
@pytest.mark.usefixtures("_workers")
@pytest.mark.parametrize("service", SERVICES)
class TestOfAService:
    def test_status_and_inspect_show_the_workers_of_the_fleet(self, service):
        status = celery("-A", f"services.{service}", "status", "-t3")
        assert all(node_of(each) in status for each in SERVICES)
        everyone = ("-d", ",".join(map(node_of, SERVICES)), "-t20")
        queues = json.loads(celery("-A", f"services.{service}", "inspect", "active_queues", *everyone, "--json"))
        for each, queue in SERVICES.items():
            assert queue in {served["name"] for served in queues[node_of(each)]}
        for question in ("active", "registered"):
            assert f"{node_of(service)}: OK" in celery("-A", f"services.{service}", "inspect", question, *everyone)

    def test_events_are_dumped(self, service, tmp_path):
        with (tmp_path / "events").open("wb") as output:
            dump = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", f"services.{service}", "events", "--dump"],
                cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=child_environment(),
            )  # fmt: skip
        try:
            dumped = tmp_path / "events"
            wait_for(lambda: f"{node_of(service)} [" in dumped.read_text(), f"an event of the worker in {dumped}", 60)
        finally:
            dump.kill()
            dump.wait(10)

    def test_control_pauses_a_queue_and_goes_on(self, service):
        queue = SERVICES[service]

        def serves() -> bool:
            told = json.loads(
                celery("-A", f"services.{service}", "inspect", "active_queues", "-d", node_of(service), "-t20", "-j")
            )
            return queue in {each["name"] for each in told[node_of(service)]}

        control = ("-A", f"services.{service}", "control", "-d", node_of(service), "-t20")
        assert "no longer consuming" in celery(*control, "cancel_consumer", queue)
        wait_for(lambda: not serves(), "the queue to be paused")
        assert "add consumer" in celery(*control, "add_consumer", queue)
        wait_for(serves, "the queue to be served again")


@pytest.fixture
def worker(brokers, tmp_path, target, pool):
    """Starts a worker of the test fleet; yields its start, which returns it and what controls it by command line."""
    with ExitStack() as stack:

        def start(*options: str, of: str = "tests.fleet.app"):
            node = f"{target}.{pool}@cli"
            options = (f"-Q{served(target, pool)}", f"--pool={pool}", f"-n{node}", "--without-mingle", *options)
            log = tmp_path / f"{target}-{pool}"
            started = WorkerProcess(of, *options, log=log)
            stack.callback(lambda: print(started.output))  # shown where a test fails
            stack.callback(started.stop)

            def tell(*command: object) -> Any:
                [told] = json.loads(celery("-A", of, "control", *command, "-d", node, "-t20", "--json"))
                return told[node]["ok"]

            return started, tell

        yield start


def children_of(started: WorkerProcess) -> set[int]:
    """The processes of a worker's pool."""
    return {child.pid for child in psutil.Process(started.process.pid).children()}


def on_each_broker(function):
    """Run a test with prefork on each broker."""
    return pytest.mark.parametrize("target", BROKERS)(pytest.mark.parametrize("pool", [Pool.PREFORK])(function))


@pytest.mark.concept("remote control")
@on_each_broker
def test_control_changes_a_worker(worker, target, pool):
    queue = served(target, pool)
    started, tell = worker("-c1", of="tests.fleet.restarting")
    assert tell("rate_limit", "try.echo", "10/m") == "new rate limit set successfully"
    assert tell("time_limit", "try.sleep", "1", "5") == "time limits set successfully"
    result = app.send_task("try.sleep", (60,), queue=queue)
    assert "SoftTimeLimitExceeded" in repr(result.get(timeout=30, propagate=False))
    before = children_of(started)
    assert tell("pool_restart") == "reload started"
    # Celery's pool ends a process when it has taken its next task.
    wait_for(
        lambda: app.send_task("try.note", ("x",), queue=queue).get(timeout=30) and before != children_of(started),
        "another process",
    )
    assert tell("pool_grow", "2") == "pool will grow"
    wait_for(lambda: len(children_of(started)) == 3, "three processes")
    assert tell("pool_shrink", "2") == "pool will shrink"
    wait_for(lambda: len(children_of(started)) == 1, "one process")
    celery("-A", "tests.fleet.app", "control", "shutdown", "-d", f"{target}.{pool}@cli", expect=69)
    assert started.process.wait(30) == 0


@pytest.mark.concept("autoscale, multi")
@on_each_broker
def test_autoscale_grows_and_shrinks_the_pool(worker, target, pool):
    started, tell = worker("--autoscale=3,1")
    results = [app.send_task("try.sleep", (3,), queue=served(target, pool)) for _ in range(3)]
    wait_for(lambda: len(children_of(started)) == 3, "three processes")
    for result in results:
        result.get(timeout=60)
    assert tell("autoscale", "2", "1") == "autoscale now max=2 min=1"
    wait_for(lambda: len(children_of(started)) <= 2, "fewer processes", 60)


@pytest.mark.concept("autoscale, multi")
def test_multi_starts_and_stops_workers(brokers, tmp_path):
    names = ("one", "two")
    files = (f"--pidfile={tmp_path}/%n.pid", f"--logfile={tmp_path}/%n.log")
    start = ("-A", "tests.fleet.app", "-l", "INFO", *files, "-c1", "-Q:one", served("default", Pool.PREFORK),
             "-Q:two", served("batch", Pool.PREFORK))  # fmt: skip
    try:
        celery("multi", "start", *names, *start)
        wait_for(lambda: all(" ready." in log_of(tmp_path, name) for name in names), "both workers")
        for broker in ("default", "batch"):
            assert app.send_task("try.echo", (broker,), queue=served(broker, Pool.PREFORK)).get(timeout=30) == broker
        pids = [pid_in(tmp_path / f"{name}.pid") for name in names]
    finally:
        celery("multi", "stopwait", *names, *files)
    assert not any(runs(pid) for pid in pids)


@pytest.mark.concept("pools, options")
@pytest.mark.parametrize("target", BROKERS)
def test_a_detached_worker_works(brokers, tmp_path, target):
    pidfile, log = tmp_path / "worker.pid", tmp_path / "worker.log"
    queue = served(target, Pool.PREFORK)
    celery("-A", "tests.fleet.app", "worker", "--detach", "-Q", queue, "-c1", "-ndetached@cli", "-lINFO",
           f"--pidfile={pidfile}", f"--logfile={log}")  # fmt: skip
    wait_for(lambda: log.exists() and " ready." in log.read_text(), "the worker")
    worker = psutil.Process(pid_in(pidfile))
    try:
        assert worker.pid != os.getpid()
        assert app.send_task("try.echo", ("far",), queue=queue).get(timeout=30) == "far"
    finally:
        worker.terminate()
        worker.wait(30)


@pytest.mark.concept("pools, options")
@pytest.mark.parametrize("pool", [Pool.PREFORK, Pool.THREADS])
@pytest.mark.parametrize("target", ["default"])
def test_a_worker_with_beat_in_it_publishes_to_each_broker(worker, target, pool, tmp_path):
    fired = Fired(app)
    try:
        worker("-c1", "--beat", f"--schedule={tmp_path / 'schedule'}", of="tests.fleet.beat")
        wait_for(lambda: set(fired.look()) == set(BROKERS), "an entry on each broker")
    finally:
        app.state.client.delete("fleet.beat.try")


def log_of(folder: Path, name: str) -> str:
    log = folder / f"{name}.log"
    return log.read_text(errors="replace") if log.exists() else ""


def pid_in(pidfile: Path) -> int:
    return int(pidfile.read_text())


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has fetched the exit code of does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
