"""The containers that users' tests are given are real servers of the named versions, and go away."""

from __future__ import annotations

from contextlib import closing

import docker
import psycopg
import pytest
import redis
from kombu import Connection
from testcontainers.core.config import testcontainers_config
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID

from shared.brokers import Broker
from shared.depths import RabbitMQDepths
from shared.secret import SecretStr
from shared.testing import images
from shared.testing.containers import (
    PASSWORD,
    NoContainers,
    postgres_container,
    prepare,
    rabbitmq_container,
    redis_container,
)
from tests.fixtures.containers import use_containers


@pytest.fixture
def engine(pytestconfig):
    if not use_containers(pytestconfig, images.REDIS, images.RABBITMQ, images.POSTGRES):
        pytest.skip("no container engine has the images, or --servers says to use none")
    with closing(docker.from_env()) as client:
        yield client


def test_a_watchdog_that_can_not_be_had_is_told_of_before_anything_starts(engine, monkeypatch):
    monkeypatch.setattr(testcontainers_config, "ryuk_image", "nobody.invalid/has-this:1")
    with pytest.raises(NoContainers, match=r"nobody\.invalid/has-this:1 is not here"):
        prepare(images.REDIS)


def of_image(version: str, image: str) -> bool:
    """Whether a server is of the version that the tag of its image names."""
    return version.split(".", maxsplit=1)[0] == image.partition(":")[2].split("-")[0]


def test_redis_keeps_what_it_is_given(engine):
    with redis_container() as server:
        with redis.Redis.from_url(server.url(15)) as client:
            assert of_image(client.info("server")["redis_version"], images.REDIS)
            assert client.config_get("appendonly", "maxmemory-policy") == {
                "appendonly": "yes",
                "maxmemory-policy": "noeviction",
            }
        with redis.Redis(server.host, server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    assert PASSWORD not in repr(server)


def test_rabbitmq_speaks_amqp_and_has_its_management_api(engine):
    with rabbitmq_container() as server:
        with Connection(server.url) as connection:
            properties = connection.default_channel.connection.server_properties
        assert of_image(properties["version"], images.RABBITMQ)
        broker = Broker("batch", SecretStr(server.url), SecretStr(server.management_url))
        assert RabbitMQDepths(broker, []).measure() is not None
    assert PASSWORD not in repr(server)


def test_postgres_gives_a_database_to_each_that_asks(engine):
    with postgres_container() as server:
        urls = [server.new_database() for _ in range(2)]
        for url in urls:
            with psycopg.connect(url) as connection:
                (version,) = connection.execute("SHOW server_version").fetchone() or ("",)
                connection.execute("CREATE TABLE alone (id int)")
            assert of_image(version, images.POSTGRES)
    assert PASSWORD not in repr(server)


@pytest.mark.parametrize("container", [redis_container, rabbitmq_container, postgres_container])
def test_a_container_is_gone_after_its_block_also_when_that_fails(engine, container):
    before = of_this_run(engine)
    started = set()

    def fail():
        started.update(of_this_run(engine) - before)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), container():
        fail()
    assert len(started) == 1
    assert of_this_run(engine) == before


def of_this_run(engine) -> set[str]:
    """The containers of this process, without the watchdog; others may start some at the same time."""
    ours = engine.containers.list(all=True, filters={"label": f"{LABEL_SESSION_ID}={SESSION_ID}"})
    return {found.id for found in ours if "ryuk" not in found.name}


def test_without_an_engine_it_says_so(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(NoContainers, match=r"No container engine answers .*DOCKER_HOST"), redis_container():
        pass


def test_an_image_that_can_not_be_had_is_named(engine):
    with pytest.raises(NoContainers, match=r"127\.0\.0\.1:1/nobody/has-this:1"):
        prepare(images.REDIS, "127.0.0.1:1/nobody/has-this:1")
