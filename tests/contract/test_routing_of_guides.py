"""What a guide shows of routing, queues and apps, on each broker and in each pool."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import redis
from kombu import Connection

from shared.brokers import BrokerKind
from shared.errors import UnknownQueue
from shared.settings import child_environment
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fleet.canvas_tasks import BROKERS, POOLS, parked_on, queue_of
from tests.fleet.places import WHERE, places

NORMAL = 4


def node_of(broker: str, pool: str) -> str:
    return f"{broker}.{pool}@places"


@pytest.fixture(scope="module", autouse=True)
def workers(brokers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    with ExitStack() as stack:
        started = []
        for broker in BROKERS:
            for pool in POOLS:
                options = (f"-Q{queue_of(broker, pool)}", f"--pool={pool}", "-c1", f"-n{node_of(broker, pool)}")
                log = folder / f"{broker}-{pool}.log"
                quietly = ("--without-mingle", "--without-gossip", "--without-heartbeat")
                started.append(WorkerProcess("tests.fleet.places", *options, *quietly, log=log, ready=False))
                stack.callback(started[-1].stop)
        for worker in started:
            worker.wait_until_ready()
        yield
        for worker in started:
            worker.process.terminate()


@pytest.fixture(params=BROKERS)
def target(request):
    return request.param


@pytest.fixture(params=POOLS)
def pool(request):
    return request.param


@pytest.fixture
def app(brokers):
    with places() as own:
        yield own


def ran(app, **options):
    return app.send_task(WHERE, **options).get(timeout=30)


@pytest.mark.concept("route by queue")
def test_a_route_names_a_queue(app, target, pool):
    queue = queue_of(target, pool)
    app.conf.task_routes = {"places.*": {"queue": queue}}
    assert ran(app) == [queue, node_of(target, pool), NORMAL]


@pytest.mark.concept("route by broker")
def test_a_route_names_a_broker_by_alias_or_url(target, pool):
    queue = queue_of(target, pool)
    with places() as by_alias, places() as by_url:
        by_alias.conf.task_routes = {WHERE: {"queue": queue, "broker": str(target)}}
        by_url.conf.task_routes = {WHERE: {"queue": queue, "broker": by_url.brokers[target].url.get_secret_value()}}
        assert ran(by_alias) == ran(by_url) == [queue, node_of(target, pool), NORMAL]


@pytest.mark.concept("routing key, priority in a route")
def test_a_route_names_a_routing_key_and_a_priority(target, pool):
    queue = queue_of(target, pool)
    with places() as by_exchange, places() as by_queue:
        by_exchange.conf.task_routes = {
            WHERE: {"exchange": f"canvas.{target}", "routing_key": queue, "priority": 9},
        }
        by_queue.conf.task_routes = {WHERE: {"queue": queue, "routing_key": queue, "priority": 0}}
        assert ran(by_exchange) == [queue, node_of(target, pool), 9]
        assert ran(by_queue) == [queue, node_of(target, pool), 0]


def exists_on(broker, queue: str) -> bool:
    """Ask a broker itself."""
    url = broker.url.get_secret_value()
    if broker.kind is BrokerKind.REDIS:
        with redis.Redis.from_url(url, decode_responses=True) as client:
            return any(client.type(key) == "list" for key in client.scan_iter(f"{queue}*"))
    with Connection(url) as connection, connection.channel() as channel:
        try:
            channel.queue_declare(queue, passive=True)
        except connection.channel_errors:
            return False
    return True


@pytest.mark.concept("explicit queues")
def test_a_queue_is_on_the_broker_that_owns_it_and_on_no_other(app, target):
    queue = parked_on(target)
    app.send_task(WHERE, queue=queue, ignore_result=True)
    assert {alias for alias, broker in app.brokers.items() if exists_on(broker, queue)} == {target}
    with app.connection_for_write(target) as connection:
        assert app.amqp.queues[queue].bind(connection.default_channel).purge() == 1


@pytest.mark.concept("explicit queues")
def test_a_queue_that_is_in_no_table_is_refused(app):
    with pytest.raises(UnknownQueue, match=r"canvas\.batch\.parked"):
        app.send_task(WHERE, queue="canvas.batch.parkt")


@pytest.mark.concept("explicit queues")
def test_a_task_without_a_route_goes_to_the_default_queue(app):
    default = app.conf.task_default_queue
    assert ran(app)[0] == default == app.default_worker_queues[0]


@pytest.mark.concept("worker per queue")
def test_a_worker_serves_its_queue_on_the_broker_that_owns_it(app, target, pool):
    node = node_of(target, pool)
    with app.on_broker(target):
        (served,) = app.control.inspect([node]).active_queues()[node]
    assert served["name"] == queue_of(target, pool)
    assert ran(app, queue=queue_of(target, pool)) == [queue_of(target, pool), node, NORMAL]


@pytest.mark.concept("worker per queue")
def test_one_worker_of_two_brokers_is_refused():
    queues = f"{queue_of('critical')},{queue_of('batch')}"
    command = [sys.executable, "-m", "celery", "-A", "tests.fleet.places", "worker", "-Q", queues]
    worker = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert worker.returncode == 1
    assert "Start a worker for each broker" in worker.stderr


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=ROOT, env=child_environment(), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


EVERYWHERE = {(broker, pool): queue_of(broker, pool) for broker in BROKERS for pool in POOLS}
CLIENTS = {
    "by name": f"signature({WHERE!r}).set(queue=queue).delay()",
    "shared": f"shared_task(name={WHERE!r}, bind=True)(where).apply_async(queue=queue)",
}
"""How a client calls, once its app is current."""


@pytest.fixture(scope="module", params=CLIENTS)
def told(request, workers):
    """What the calls of a client, a program of its own, came back with from each queue."""
    return json.loads(
        run(
            "import json\n"
            "from celery import shared_task, signature\n"
            "from celery.result import AsyncResult\n"
            "from tests.fleet.places import app, where\n"
            "app.set_current()\n"
            f"calls = {{queue: {CLIENTS[request.param]} for queue in {list(EVERYWHERE.values())!r}}}\n"
            "print(json.dumps({queue: AsyncResult(call.id).get(timeout=60) for queue, call in calls.items()}))\n"
        )
    )


@pytest.mark.concept("calls by name from a client")
def test_a_client_calls_without_the_code_of_a_worker_once_its_app_is_current(told, target, pool):
    queue = queue_of(target, pool)
    assert told[queue] == [queue, node_of(target, pool), NORMAL]


@pytest.mark.concept("several apps")
def test_importing_the_apps_of_all_services_makes_none_current():
    names = "core", "email_worker", "file_worker"
    apps = "".join(f"from services.{name}.app import app as {name}\n" for name in names)
    assert run(f"{apps}from celery import current_app\nprint(current_app.main)\n") == "default\n"


@pytest.mark.concept("several apps")
def test_each_app_has_a_configuration_of_its_own(brokers, monkeypatch, tmp_path):
    (tmp_path / "settings_of_one.py").write_text("task_compression = 'gzip'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SETTINGS_OF_ANOTHER", "settings_of_one")
    with places() as by_module, places() as by_class, places() as by_variable, places() as untouched:
        by_module.config_from_object("settings_of_one")
        by_class.config_from_object(SimpleNamespace(CELERY_TASK_COMPRESSION="bzip2"), namespace="CELERY")
        by_variable.config_from_envvar("SETTINGS_OF_ANOTHER")
        found = [each.conf.task_compression for each in (by_module, by_class, by_variable, untouched)]
    assert found == ["gzip", "bzip2", "gzip", None]
