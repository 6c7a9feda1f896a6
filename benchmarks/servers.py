"""The servers of the benchmarks: started when they are first needed, emptied between ways."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

from redis import Redis

from benchmarks.peers.counting import BROKER, DONE, UP, URL
from benchmarks.processes import ROOT, Programs
from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from shared.settings import child_environment

REDIS, RABBITMQ = "redis", "rabbitmq"
NOWHERE = "amqp://127.0.0.1:9//"
"""Where nobody publishes to RabbitMQ."""
BROKERS = {"YARD_BROKER_DEFAULT_URL": 0, "YARD_BROKER_CRITICAL_URL": 1, "YARD_RESULTS_URL": 2, "YARD_STATE_URL": 3}
COUNTER = 4


class Servers:
    """A Redis as the fleet has it (append-only file, synced before every answer) and a RabbitMQ, for all ways alike.

    Args:
        folder: For their data and the output of all programs; made when missing.
        keeps_state: Whether the fleet's shared state outlives ``empty``.
    """

    def __init__(self, folder: Path, *, keeps_state: bool = False) -> None:
        self.folder = folder
        self._kept = {BROKERS["YARD_STATE_URL"]} if keeps_state else set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def redis(self) -> LocalRedis:
        """The Redis."""
        return self._stack.enter_context(LocalRedis(self.folder / REDIS))

    @cached_property
    def rabbitmq(self) -> LocalRabbitMQ:
        """The RabbitMQ."""
        return self._stack.enter_context(LocalRabbitMQ(self.folder / RABBITMQ))

    @cached_property
    def counter(self) -> Redis:
        """A client of the database in which tasks count."""
        return Redis.from_url(self.redis.url(COUNTER))

    def client(self, database: int = 0) -> Redis:
        """Return a client of a database."""
        return Redis.from_url(self.redis.url(database))

    def programs(self, broker: str, **more: str) -> Programs:
        """Return what starts programs whose broker is one of the two.

        Args:
            broker: ``redis`` or ``rabbitmq``.
            more: Variables of their environment besides.
        """
        needs_rabbitmq = broker == RABBITMQ
        urls = {name: self.redis.url(number) for name, number in BROKERS.items()}
        environment = {
            **urls,
            "YARD_HOME": str(self.folder / "home"),
            "YARD_METRICS_PORT": "0",
            "YARD_BROKER_BATCH_URL": self.rabbitmq.url if needs_rabbitmq else NOWHERE,
            "BENCH_RESULTS_URL": urls["YARD_RESULTS_URL"],
            BROKER: self.rabbitmq.url if needs_rabbitmq else self.redis.url(),
            URL: self.redis.url(COUNTER),
            "PYTHONPATH": str(ROOT),
            **more,
        }
        return Programs(self.folder / "logs", child_environment(environment, without=("YARD_", "BENCH_")))

    def empty(self, broker: str) -> None:
        """Remove all queues of a broker, and forget what was counted."""
        for database in (*BROKERS.values(), COUNTER):
            if database not in self._kept:
                self.client(database).flushdb()
        if broker == RABBITMQ:
            self._delete_queues()

    def forget(self) -> None:
        """Forget what was counted, and leave all queues."""
        self.counter.flushdb()

    def rabbitmq_version(self) -> str:
        """Return the version of RabbitMQ."""
        return str(self._ask("GET", "/api/overview")["rabbitmq_version"])

    def done(self) -> int:
        """Return how many tasks were done."""
        return int(self.counter.get(DONE) or 0)

    def up(self) -> int:
        """Return how many processes have done a task."""
        return int(self.counter.scard(UP))

    def _delete_queues(self) -> None:
        for queue in self._ask("GET", "/api/queues"):
            self._ask("DELETE", f"/api/queues/{quote(queue['vhost'], safe='')}/{quote(queue['name'], safe='')}")

    def _ask(self, method: str, path: str) -> Any:
        parts = urlsplit(self.rabbitmq.management_url)
        credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        client = HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        try:
            client.request(method, path, headers={"Authorization": f"Basic {base64.b64encode(credentials).decode()}"})
            content = client.getresponse().read()
            return json.loads(content) if method == "GET" else None
        finally:
            client.close()


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Yield a folder for servers that is gone afterwards, in memory where the system has that.

    Redis and RabbitMQ write to disk before they answer, in the fleet's configuration, and what a disk takes for that
    would hide what the software takes: all of them would be as slow.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the folder inside it is made for us alone
    with TemporaryDirectory(prefix="switchyard-bench-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def rest() -> None:
    """Let the servers come to rest between two ways: Redis writes its file, RabbitMQ its statistics."""
    time.sleep(0.3)
