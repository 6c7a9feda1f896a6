from __future__ import annotations

import http.client
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from amqp.exceptions import AccessRefused
from kombu import Connection, Queue
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from services.core.local.errors import NotInstalled, StartFailed
from services.core.local.service import Service
from tests.integration.local.survivors import await_no_process_of, await_true, processes_of

pytestmark = pytest.mark.brokers


@pytest.fixture(scope="module")
def local_redis(tmp_path_factory) -> Iterator[LocalRedis]:
    with LocalRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def local_rabbitmq(tmp_path_factory) -> Iterator[LocalRabbitMQ]:
    with LocalRabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


def client_of(server: LocalRedis, **options: Any) -> redis.Redis:
    return redis.Redis.from_url(server.url(), retry=Retry(NoBackoff(), 0), **options)


def publish(server: LocalRabbitMQ, queue: str, body: str) -> None:
    with Connection(server.url, connect_timeout=5, transport_options={"confirm_publish": True}) as connection:
        Queue(queue, channel=connection).declare()
        connection.Producer().publish({"body": body}, routing_key=queue, delivery_mode=2)


def take(server: LocalRabbitMQ, queue: str) -> str:
    with Connection(server.url, connect_timeout=5) as connection:
        message = Queue(queue, channel=connection).get(no_ack=True)
        assert message is not None
        return str(message.payload["body"])


def secrets_of(folder: Path) -> list[str]:
    return [folder.joinpath(name).read_text() for name in ("password", ".erlang.cookie") if (folder / name).exists()]


def listening_addresses(server: Service) -> set[str]:
    processes = [psutil.Process(process.pid) for process in server.processes]
    return {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_redis_takes_its_url_and_refuses_a_client_without_the_password(local_redis):
    with client_of(local_redis) as client:
        assert client.ping()
        assert client.config_get("appendonly", "maxmemory-policy") == {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
        }
    with (
        redis.Redis(port=local_redis.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_rabbitmq_takes_its_url_and_refuses_guest(local_rabbitmq):
    publish(local_rabbitmq, "greetings", "hello")
    assert take(local_rabbitmq, "greetings") == "hello"
    with (
        Connection(f"amqp://guest:guest@127.0.0.1:{local_rabbitmq.port}//") as stranger,
        pytest.raises(AccessRefused),
    ):
        stranger.connect()
    client = http.client.HTTPConnection("127.0.0.1", local_rabbitmq.management_port, timeout=5)
    client.request("GET", "/api/overview")
    assert client.getresponse().status == http.HTTPStatus.UNAUTHORIZED
    client.close()


@pytest.mark.parametrize("kind", ["local_redis", "local_rabbitmq"])
def test_nobody_else_can_reach_a_broker_or_read_its_secrets(request, kind):
    server = request.getfixturevalue(kind)
    folder = server.processes[0].log.parent
    assert listening_addresses(server) <= {"127.0.0.1", "::1"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secrets = secrets_of(folder)
    command_lines = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
    logs = [path.read_text() for path in folder.rglob("*.log")]
    assert secrets
    assert logs
    assert not [text for text in (*command_lines, *logs) for secret in secrets if secret in text]


def test_redis_keeps_its_data_port_and_password_over_a_crash(local_redis):
    url = local_redis.url()
    with client_of(local_redis) as client:
        client.set("kept", "value")
        local_redis.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        local_redis.start()
        assert client.get("kept") == b"value"
        assert local_redis.url() == url


def test_rabbitmq_keeps_persistent_messages_over_a_stop_and_over_a_crash(local_rabbitmq):
    publish(local_rabbitmq, "kept", "over a stop")
    local_rabbitmq.restart()
    publish(local_rabbitmq, "kept", "over a crash")
    local_rabbitmq.kill()
    local_rabbitmq.start()
    assert [take(local_rabbitmq, "kept") for _ in range(2)] == ["over a stop", "over a crash"]


def test_rabbitmq_ends_by_itself_when_it_is_asked_to(tmp_path):
    with LocalRabbitMQ(tmp_path) as server:
        publish(server, "kept", "just before the end")
    assert server.processes[-1].exit_code == 0
    with LocalRabbitMQ(tmp_path) as server:
        assert take(server, "kept") == "just before the end"


def test_a_paused_broker_accepts_connections_and_does_not_answer_until_it_is_resumed(local_redis):
    with client_of(local_redis, socket_timeout=0.3) as client:
        assert client.ping()
        local_redis.pause()
        try:
            with pytest.raises(redis.TimeoutError):
                client.ping()
        finally:
            local_redis.resume()
        assert client.ping()


def test_a_node_never_starts_a_port_mapper_that_would_outlive_us(tmp_path):
    with LocalRabbitMQ(tmp_path) as server:
        mapper, node = server.processes
        mapper.kill()
        await_true(lambda: not [p for p in processes_of(tmp_path) if p.name() == "epmd"])
        node.kill()
        node.start()
        assert node.wait(30) not in (None, 0)
        assert not [p for p in processes_of(tmp_path) if p.name() == "epmd"]
    await_no_process_of(tmp_path)


@pytest.mark.parametrize(("kind", "port"), [(LocalRedis, "redis"), (LocalRabbitMQ, "distribution")])
def test_a_broker_that_cannot_start_shows_the_end_of_its_log_and_leaves_nothing(tmp_path, kind, port):
    server = kind(tmp_path)
    with (
        socket.create_server(("127.0.0.1", server.ports[port])),
        pytest.raises(StartFailed, match=rf"(?s)^{server.name} ended .*(in use|already_used)") as error,
    ):
        server.start()
    assert str(server.processes[-1].log) in str(error.value)
    await_no_process_of(tmp_path)


@pytest.mark.parametrize("kind", [LocalRedis, LocalRabbitMQ])
def test_a_program_that_is_not_installed_is_named_with_the_command_that_gets_it(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("services.core.local.rabbitmq_installation.SCRIPTS", ())
    with pytest.raises(NotInstalled, match=r"-server is not installed\. Run deploy/local/get-brokers"):
        kind(tmp_path)
