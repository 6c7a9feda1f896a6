"""What killed workers, monitors and clients leave in the brokers goes again, and the living lose nothing of theirs."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from base64 import b64encode
from urllib.parse import urlsplit

import pytest
import redis
from celery import chord, group

from shared.settings import child_environment
from shared.transports.redis_bindings import DEADLINES
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fleet import tasks
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import served

REDIS, RABBITMQ = "default", "batch"
ALL_WAIT = "from tests.fleet.app import app; app.control.broadcast('ping', reply=True, timeout=3600)"


@pytest.fixture
def server(brokers):
    with redis.Redis.from_url(brokers["YARD_BROKER_DEFAULT_URL"], decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def worker(server, tmp_path):
    """Start workers of a broker by their names."""
    started = []

    def start(name: str, broker: str = REDIS) -> WorkerProcess:
        log = tmp_path / f"{name}.log"
        started.append(
            WorkerProcess("tests.fleet.app", f"-Q{served(broker, 'prefork')}", "-c1", f"-n{name}@here", log=log)
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()


def bound(server, exchange: str) -> set[str]:
    """The queues that are bound to an exchange."""
    return {each.rpartition("\x06\x16")[2] for each in server.smembers(f"_kombu.binding.{exchange}")}


def an_hour_passes(server) -> None:
    """As if nobody had refreshed a binding for longer than it stays."""
    for entry in server.zrange(DEADLINES, 0, -1):
        server.zadd(DEADLINES, {entry: 1})


def sweep() -> None:
    """Do what each worker does once a minute."""
    with app.connection_for_write(REDIS) as connection:
        connection.default_channel.sweep_bindings()


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait(10)


def client(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT, env=child_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_killed_worker_leaves_no_binding_while_others_live(server, worker):
    dead = worker("dead")
    assert any(queue.startswith("dead@here") for queue in bound(server, "celery.pidbox"))
    dead.kill()
    living = worker("living")
    before = bound(server, "celery.pidbox")
    assert {queue.partition("@")[0] for queue in before} == {"dead", "living"}
    an_hour_passes(server)
    sweep()
    assert not bound(server, "celery.pidbox") & {queue for queue in before if queue.startswith("dead")}
    assert served(REDIS, "prefork") in bound(server, f"try.{REDIS}"), "a queue that does not expire stays bound"
    with app.on_broker(REDIS):
        assert app.control.ping(timeout=10, limit=1) == [{"living@here": {"ok": "pong"}}]
    assert tasks.echo.apply_async((1,), queue=served(REDIS, "prefork")).get(timeout=30) == 1
    living.stop()


def test_a_living_worker_keeps_its_binding(server, worker):
    worker("living")
    before = bound(server, "celery.pidbox")
    sweep()
    assert bound(server, "celery.pidbox") == before


def test_a_client_that_is_killed_while_it_waits_leaves_neither_binding_nor_replies(server, worker):
    worker("living")
    asking = client("-c", ALL_WAIT)
    wait_for(lambda: bound(server, "reply.celery.pidbox"), "a client that waits for replies")
    kill(asking)
    [queue] = bound(server, "reply.celery.pidbox")
    server.rpush(queue, "a reply that nobody reads")
    assert server.ttl(queue) == -1
    an_hour_passes(server)
    sweep()
    assert not bound(server, "reply.celery.pidbox")
    assert not server.keys("*reply.celery.pidbox*")


def test_a_monitor_that_is_killed_leaves_no_binding(server, worker):
    worker("living")
    before = bound(server, "celeryev")
    monitor = client("-m", "celery", "-A", "tests.fleet.app", "events", "--dump")
    wait_for(lambda: bound(server, "celeryev") - before, "a monitor that listens", 60)
    kill(monitor)
    an_hour_passes(server)
    sweep()
    assert not bound(server, "celeryev")


def test_rabbitmq_forgets_the_queues_of_the_killed(brokers, worker):
    killed = worker("dead", RABBITMQ)
    url = app.brokers[RABBITMQ].url.get_secret_value()
    monitor = client("-m", "celery", "-A", "tests.fleet.app", "-b", url, "events", "--dump")
    asking = client("-c", ALL_WAIT)
    kinds = ("dead@here", "celeryev.", ".reply.celery.pidbox")

    def left() -> set[str]:
        names = queues(brokers["YARD_BROKER_BATCH_MANAGEMENT_URL"])
        return {kind for kind in kinds for name in names if kind in name}

    wait_for(lambda: left() == set(kinds), "queues of a worker, a monitor and a client", 60)
    killed.kill()
    kill(monitor)
    kill(asking)
    wait_for(lambda: not left(), "these queues to be gone", 90)


def queues(management_url: str) -> list[str]:
    """The names of all queues of RabbitMQ."""
    parts = urlsplit(management_url)
    password = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    request = urllib.request.Request(
        f"http://{parts.hostname}:{parts.port}/api/queues", headers={"Authorization": f"Basic {password}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [queue["name"] for queue in json.load(answer)]


def test_every_key_of_results_groups_and_failed_chords_has_an_end(brokers, worker):
    worker("living")
    queue = served(REDIS, "prefork")
    with redis.Redis.from_url(brokers["YARD_RESULTS_URL"]) as results:
        results.flushdb()
        saved = group(tasks.echo.s(n).set(queue=queue) for n in range(3)).apply_async()
        saved.save()
        assert saved.get(timeout=30) == [0, 1, 2]
        header = [tasks.echo.s(1).set(queue=queue), tasks.fail.s().set(queue=queue)]
        failed = chord(header, tasks.echo.s().set(queue=queue)).apply_async()
        wait_for(lambda: failed.state == "FAILURE", "a chord to fail")
        assert results.dbsize() == 7, "five tasks, the body and a saved group"
        assert [key for key in results.keys("*") if results.ttl(key) == -1] == []
