"""Redis, RabbitMQ and PostgreSQL in containers, by Testcontainers, in the versions of ``compose.yaml``.

Each is there for the length of a ``with`` block, on a free port of this machine.  A container of a test run that is
killed is removed by Testcontainers' own watchdog.  All of it needs the extra ``testing``.
"""

from __future__ import annotations

import gc
import secrets
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count

import docker
from docker.errors import DockerException, ImageNotFound
from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.redis import RedisContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import ExecWaitStrategy, LogMessageWaitStrategy

from shared.errors import FleetError
from shared.testing import images

ENGINE_ANSWERS_WITHIN_SECONDS = 5
USER = "tests"
PASSWORD = secrets.token_hex(16)
"""Of every server of this process; the engine may publish ports to the network of this machine."""


class NoContainers(FleetError):
    """No container engine answers, or an image is missing and can't be pulled."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis with a password and an append-only file."""

    host: str
    port: int

    def url(self, database: int = 0) -> str:
        """Give the URL of one of its sixteen databases, with the password."""
        return f"redis://:{PASSWORD}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True, slots=True)
class RabbitMQServer:
    """A RabbitMQ node with its management API."""

    host: str
    port: int
    management_port: int

    @property
    def url(self) -> str:
        """The URL of the virtual host ``/``, with user and password."""
        return f"amqp://{USER}:{PASSWORD}@{self.host}:{self.port}//"

    @property
    def management_url(self) -> str:
        """The URL of the management API, with user and password."""
        return f"http://{USER}:{PASSWORD}@{self.host}:{self.management_port}"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL server, which does not wait for the disk."""

    host: str
    port: int
    _container: PostgresContainer = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    def new_database(self) -> str:
        """Create an empty database and return its URL, with user and password."""
        name = f"{USER}_{next(self._numbers)}"
        done = self._container.exec(["createdb", "--username", USER, name])
        if done.exit_code:
            raise RuntimeError(f"PostgreSQL made no database: {done.output.decode(errors='replace')}")
        return f"postgresql://{USER}:{PASSWORD}@{self.host}:{self.port}/{name}"


@contextmanager
def redis_container() -> Iterator[RedisServer]:
    """Run Redis.

    Raises:
        NoContainers: There is no engine, or no image.
    """
    prepare(images.REDIS)
    command = ["redis-server", "--requirepass", PASSWORD, "--appendonly", "yes"]
    container = RedisContainer(images.REDIS, password=PASSWORD).with_command(command)
    with container.waiting_for(LogMessageWaitStrategy("Ready to accept connections")) as redis:
        yield RedisServer(redis.get_container_host_ip(), int(redis.get_exposed_port(6379)))


@contextmanager
def rabbitmq_container() -> Iterator[RabbitMQServer]:
    """Run RabbitMQ.

    Raises:
        NoContainers: There is no engine, or no image.
    """
    prepare(images.RABBITMQ)
    # Testcontainers' own class for RabbitMQ wants a second AMQP client, to see whether the node is up.
    container = (
        DockerContainer(images.RABBITMQ)
        .with_env("RABBITMQ_DEFAULT_USER", USER)
        .with_env("RABBITMQ_DEFAULT_PASS", PASSWORD)
        .with_exposed_ports(5672, 15672)
        .waiting_for(LogMessageWaitStrategy("Server startup complete"))
    )
    with container as rabbitmq:
        ports = [int(rabbitmq.get_exposed_port(port)) for port in (5672, 15672)]
        yield RabbitMQServer(rabbitmq.get_container_host_ip(), *ports)


@contextmanager
def postgres_container() -> Iterator[PostgresServer]:
    """Run PostgreSQL.

    Raises:
        NoContainers: There is no engine, or no image.
    """
    prepare(images.POSTGRES)
    container = PostgresContainer(images.POSTGRES, username=USER, password=PASSWORD, dbname=USER, driver=None)
    # By TCP: the server that fills a new data folder listens on its socket alone.
    ready = ExecWaitStrategy(["pg_isready", "--quiet", "--host", "127.0.0.1", "--username", USER])
    with container.with_command(["postgres", "-c", "fsync=off"]).waiting_for(ready) as postgres:
        yield PostgresServer(postgres.get_container_host_ip(), int(postgres.get_exposed_port(5432)), postgres)


def prepare(*names: str) -> None:
    """See that a container engine has images, and pull those that it lacks; that of the watchdog is one of them.

    Raises:
        NoContainers: There is no engine, or an image can't be had.
    """
    require_engine()
    watchdog = () if testcontainers_config.ryuk_disabled else (testcontainers_config.ryuk_image,)
    with closing(docker.from_env()) as client:
        for name in (*names, *watchdog):
            try:
                client.images.get(name)
            except ImageNotFound:
                pull(client, name)


def pull(client: docker.DockerClient, name: str) -> None:
    """Pull an image.

    Raises:
        NoContainers: It can't be had.
    """
    try:
        client.images.pull(name)
    except DockerException as error:
        raise NoContainers(f"Image {name} is not here and can't be pulled ({error}).") from error


def require_engine() -> None:
    """See that a container engine answers.

    Raises:
        NoContainers: None does.
    """
    # The client leaves the socket of a failed connection to the garbage collector.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reason = why_no_engine()
        gc.collect()
    if reason:
        raise NoContainers(f"No container engine answers ({reason}). Start Docker, or set DOCKER_HOST.")


def why_no_engine() -> str | None:
    """Ask the engine for its version; return what went wrong, ``None`` when it answered."""
    try:
        docker.from_env(timeout=ENGINE_ANSWERS_WITHIN_SECONDS).close()
    except DockerException as error:
        return str(error)
    return None
