"""Publishing returns within five seconds in every state of a broker, with a receipt or with ``PublishFailed``."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import pytest
import redis
from celery import group
from kombu import Connection
from kombu.exceptions import OperationalError

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from services.core.local.rabbitmq_server import NODE
from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.errors import ConfigurationError
from shared.producers import PublishFailed
from shared.queues import QueueSpec, rabbitmq_queue, redis_queue
from shared.routing import TaskSpec
from shared.secret import SecretStr
from tests.fixtures.erlang import evaluate
from tests.fixtures.proxy import Proxy, proxy_to
from tests.fleet.inspection import messages, wait_for

PROMISED_SECONDS = 5.0
MARGIN_SECONDS = 2.0
"""For a machine that does other things as well."""
KINDS = ("redis", "rabbitmq")
QUEUE = "bounds"


@dataclass
class Scene:
    """A broker of its own, a proxy before it, and an app that publishes through that."""

    kind: str
    server: LocalRedis | LocalRabbitMQ
    proxy: Proxy
    app: FleetCelery

    def publish(self, **options) -> float:
        """Publish one task; return the seconds that it took."""
        return timed(lambda: self.app.send_task("bound", **options))

    def fail(self, **options) -> PublishFailed:
        """Publish one task in vain, within the promised time."""
        started = monotonic()
        with pytest.raises(PublishFailed) as raised:
            self.app.send_task("bound", **options)
        seconds = monotonic() - started
        print(f"{self.kind}: {seconds:.2f} s, sent={raised.value.sent}: {raised.value}")
        assert seconds < PROMISED_SECONDS + MARGIN_SECONDS
        assert isinstance(raised.value, OperationalError)
        assert raised.value.__cause__ is not None
        assert "the-broker" in str(raised.value)
        assert url_of(self.server).split(":")[2].split("@")[0] not in str(raised.value)
        failed: PublishFailed = raised.value
        return failed

    def waiting(self) -> list[str]:
        """Take the ids of the tasks that lie in the queue."""
        return [headers["id"] for headers in messages(Broker("direct", SecretStr(url_of(self.server))), QUEUE)]


def timed(publish) -> float:
    started = monotonic()
    publish()
    seconds = monotonic() - started
    print(f"{seconds:.2f} s")
    assert seconds < PROMISED_SECONDS + MARGIN_SECONDS
    return seconds


def url_of(server) -> str:
    return server.url() if isinstance(server, LocalRedis) else server.url


@contextmanager
def app_at(url: str, **settings) -> Iterator[FleetCelery]:
    kind = "redis" if url.startswith("redis") else "rabbitmq"
    declare = redis_queue if kind == "redis" else rabbitmq_queue
    app = FleetCelery(
        "bounds",
        brokers=Brokers([Broker("the-broker", SecretStr(url))]),
        queues=[QueueSpec(queue=declare(QUEUE, "bounds"), broker="the-broker", service="s")],
        tasks=[TaskSpec("bound", QUEUE)],
        defaults=settings,
    )
    try:
        yield app
    finally:
        app.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[dict]:
    folder = tmp_path_factory.mktemp("servers")
    with LocalRedis(folder / "redis") as redis_server, LocalRabbitMQ(folder / "rabbitmq") as rabbitmq_server:
        yield {"redis": redis_server, "rabbitmq": rabbitmq_server}


@pytest.fixture(params=KINDS)
def scene(request, servers) -> Iterator[Scene]:
    server = servers[request.param]
    with proxy_to(server.port) as proxy, app_at(at_port(url_of(server), proxy.port)) as app:
        scene = Scene(request.param, server, proxy, app)
        yield scene
        server.resume()
        scene.waiting()


def at_port(url: str, port: int) -> str:
    head, _, tail = url.rpartition(":")
    return f"{head}:{port}/{tail.partition('/')[2]}"


@contextmanager
def nobody_answers() -> Iterator[int]:
    """A port whose queue of connections is full: packets to it are dropped."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        yield port
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("options", [{}, {"retry": False}], ids=["retries", "one-try"])
def test_refused(scene, options):
    scene.proxy.refuse()
    assert scene.fail(**options).sent == "no"
    scene.proxy.accept()
    scene.publish()
    assert len(scene.waiting()) == 1


@pytest.mark.parametrize("options", [{}, {"retry": False}], ids=["retries", "one-try"])
def test_packets_are_dropped(scene, options):
    with nobody_answers() as port, app_at(at_port(url_of(scene.server), port)) as app:
        assert Scene(scene.kind, scene.server, scene.proxy, app).fail(**options).sent == "no"


def test_frozen_before_the_first_connection(scene):
    scene.server.pause()
    assert scene.fail().sent == "no"
    scene.server.resume()
    scene.publish()
    wait_for(lambda: len(scene.waiting()) == 1, "the one message")


def test_frozen_with_a_connection_in_the_pool(scene):
    scene.publish(task_id="first")
    scene.server.pause()
    assert scene.fail(task_id="second").sent == "unknown"
    scene.server.resume()
    scene.publish(task_id="third")
    arrived = wait_for(scene.waiting, "the messages")
    assert arrived.count("second") <= 1, "it was published twice"
    assert {"first", "third"} <= set(arrived)


def test_redis_stands_still_for_longer_than_a_worker_would_wait(servers):
    """The publisher waits all the same; had it given up, nobody would know whether the message arrived."""
    server = servers["redis"]
    with app_at(server.url(), broker_transport_options={"socket_timeout": 0.5}) as app, ThreadPoolExecutor(1) as pool:
        app.send_task("bound", task_id="first")
        server.pause()
        try:
            second = pool.submit(app.send_task, "bound", task_id="second")
            with pytest.raises(TimeoutError):
                second.result(timeout=1.5)
        finally:
            server.resume()
        second.result(timeout=PROMISED_SECONDS)
    assert [found["id"] for found in messages(Broker("direct", SecretStr(server.url())), QUEUE)] == ["first", "second"]


def test_half_open_connection_in_the_pool_is_dropped(scene):
    scene.publish(task_id="first")
    scene.proxy.half_open()
    assert scene.fail(task_id="second").sent == "unknown"
    assert scene.publish(task_id="third") < MARGIN_SECONDS
    assert {"first", "third"} <= set(scene.waiting())


def test_half_open_for_everybody(scene):
    scene.publish()
    scene.proxy.freeze()
    assert scene.fail().sent == "unknown"
    assert scene.fail().sent == "no", "nothing got through to where a message could be sent"


def test_a_connection_that_broke_while_it_lay_idle_is_no_error(scene):
    scene.publish(task_id="first")
    scene.proxy.cut()
    scene.publish(task_id="second", retry=False)
    assert set(scene.waiting()) == {"first", "second"}


def test_a_restarted_broker_is_no_error(scene):
    scene.publish(task_id="first")
    scene.server.restart()
    scene.publish(task_id="second", retry=False)
    assert set(scene.waiting()) == {"first", "second"}


def test_cut_at_every_stage_of_a_publish(scene):
    """Wherever the connection breaks, the message arrives, for the broker itself is well."""
    with app_at(at_port(url_of(scene.server), scene.proxy.port)) as other:
        before = scene.proxy.passed
        other.send_task("bound")
        whole = scene.proxy.passed - before
    scene.waiting()
    for number in range(1, whole + 1, max(1, whole // 12)):
        with app_at(at_port(url_of(scene.server), scene.proxy.port)) as app:
            scene.proxy.cut_after(number)
            timed(lambda: app.send_task("bound", task_id=f"cut-{number}"))  # noqa: B023
        arrived = scene.waiting()
        assert set(arrived) == {f"cut-{number}"}
        assert len(arrived) <= 2


def test_many_threads_wait_no_longer_than_one(scene):
    """With ten connections in the pool, what waits for one of them is bounded too."""
    scene.publish()
    scene.server.pause()
    with ThreadPoolExecutor(25) as pool:
        failures = [future.result() for future in [pool.submit(scene.fail) for _ in range(25)]]
    assert {failure.sent for failure in failures} <= {"no", "unknown"}


def test_all_connections_are_in_the_hands_of_somebody_who_is_stuck(scene):
    pools = scene.app.amqp.pools[scene.app.broker]
    stuck = [pools.connections.acquire() for _ in range(pools.limit)]
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(scene.fail)
        try:
            assert publishing.result(timeout=2 * PROMISED_SECONDS).sent == "no"
        finally:
            for connection in stuck:
                connection.release()
    scene.publish()


def test_a_group_says_so_too(scene):
    scene.publish()
    scene.server.pause()
    started = monotonic()
    with pytest.raises(PublishFailed):
        group(scene.app.signature("bound") for _ in range(5)).apply_async()
    assert monotonic() - started < PROMISED_SECONDS + MARGIN_SECONDS


@pytest.mark.parametrize("url", ["redis://name.invalid:6379/0", "amqp://guest:guest@name.invalid:5672//"])
def test_a_name_that_does_not_exist(url):
    with app_at(url) as app:
        started = monotonic()
        with pytest.raises(PublishFailed) as raised:
            app.send_task("bound")
        assert monotonic() - started < PROMISED_SECONDS + MARGIN_SECONDS
        assert raised.value.sent == "no"


def test_redis_at_maxmemory(servers):
    server = servers["redis"]
    with redis.Redis.from_url(server.url()) as client, app_at(server.url()) as app:
        app.send_task("bound")
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(PublishFailed, match="maxmemory") as raised:
                app.send_task("bound")
        finally:
            client.config_set("maxmemory", 0)
        assert raised.value.sent == "no"
        app.send_task("bound")
        assert len(messages(Broker("direct", SecretStr(server.url())), QUEUE)) == 2


@contextmanager
def memory_alarm(server: LocalRabbitMQ) -> Iterator[None]:
    memory = f"{{resource_limit,memory,'{NODE}'}}"
    evaluate(server, f"rabbit_alarm set_alarm [{{{memory},[]}}]")
    try:
        yield
    finally:
        evaluate(server, f"rabbit_alarm clear_alarm [{memory}]")


def test_rabbitmq_with_a_memory_alarm(servers):
    server = servers["rabbitmq"]
    direct = Broker("direct", SecretStr(server.url))
    with proxy_to(server.port) as proxy, app_at(at_port(server.url, proxy.port)) as app:
        scene = Scene("rabbitmq", server, proxy, app)
        with memory_alarm(server):
            first = scene.fail(task_id="first")
            assert "memory" in str(first)
            assert first.sent == "unknown", "RabbitMQ says that it is blocked when one publishes"
            connections = proxy.accepted
            assert scene.fail(task_id="second").sent == "no"
            assert proxy.accepted == connections
        scene.publish(task_id="third")
        scene.publish(task_id="fourth")
        assert [found["id"] for found in messages(direct, QUEUE)] == ["first", "third", "fourth"]


@pytest.mark.parametrize("state", ["refused", "dropped", "frozen"])
def test_the_result_store_is_no_condition(servers, state, tmp_path):
    """A task is published although nobody can listen for its result."""
    with nobody_answers() as dropped, LocalRedis(tmp_path / "store") as store:
        url = {"refused": "redis://127.0.0.1:1/0", "dropped": f"redis://127.0.0.1:{dropped}/0", "frozen": store.url()}
        with app_at(servers["redis"].url(), result_backend=url[state]) as app:
            if state == "frozen":
                app.send_task("bound")
                store.pause()
            for _ in range(3):
                timed(lambda: app.send_task("bound"))
            store.resume()
    assert len(messages(Broker("direct", SecretStr(servers["redis"].url())), QUEUE)) >= 3


def test_an_error_keeps_what_it_says_on_its_way_to_another_process(scene):
    scene.proxy.refuse()
    failed = scene.fail()
    there = pickle.loads(pickle.dumps(failed))
    assert (str(there), there.sent) == (str(failed), failed.sent)


def test_confirms_cannot_be_switched_off(servers):
    with (
        app_at(servers["rabbitmq"].url, broker_transport_options={"confirm_publish": False}) as app,
        pytest.raises(ConfigurationError, match="always confirmed"),
    ):
        app.send_task("bound")


def test_a_message_that_reaches_no_queue_raises_and_the_next_publish_declares_it(servers):
    server = servers["rabbitmq"]
    with app_at(server.url) as app:
        app.send_task("bound", task_id="first")
        with Connection(server.url) as connection:
            connection.default_channel.queue_delete(QUEUE)
        with pytest.raises(PublishFailed, match="NO_ROUTE") as raised:
            app.send_task("bound", task_id="second")
        assert raised.value.sent == "no"
        app.send_task("bound", task_id="third")
        assert [found["id"] for found in messages(Broker("direct", SecretStr(server.url)), QUEUE)] == ["third"]


def test_a_message_that_rabbitmq_does_not_accept_raises(servers):
    server = servers["rabbitmq"]
    full = QueueSpec(queue=rabbitmq_queue("full", "bounds"), broker="the-broker", service="s")
    full.queue.queue_arguments = {**full.queue.queue_arguments, "x-max-length": 1, "x-overflow": "reject-publish"}
    brokers = Brokers([Broker("the-broker", SecretStr(server.url))])
    with FleetCelery("full", brokers=brokers, queues=[full], tasks=[TaskSpec("fill", "full")]) as app:
        app.send_task("fill")
        with pytest.raises(PublishFailed, match="could not take") as raised:
            app.send_task("fill")
        assert raised.value.sent == "unknown"
