"""The servers that Celery's tests need: a Redis that asks for no password, and workers outside the tests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.core.local.errors import NotInstalled
from services.core.local.ports import LOOPBACK, free_ports, listens
from services.core.local.processes import ChildProcess
from services.core.local.service import Service, wait_until_ready
from shared.settings import child_environment
from tests.upstream.source import ROOT


class OpenRedis(Service):
    """A Redis without a password, because Celery's tests know host and port only; it keeps nothing on disk."""

    name = "redis"

    def __init__(self, logs: Path) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise NotInstalled("redis-server")
        (self.port,) = free_ports(1)
        self._server = ChildProcess(
            self.name,
            [program, "--bind", LOOPBACK, "--port", str(self.port), "--save", "", "--appendonly", "no"],
            log=logs / "redis.log",
            environment=child_environment(),
            folder=logs,
        )

    @property
    def processes(self) -> Sequence[ChildProcess]:
        """The server."""
        return (self._server,)

    def is_ready(self) -> bool:
        """Tell whether it listens."""
        return listens(self.port)

    def url(self, database: int) -> str:
        """Give the URL of one database."""
        return f"redis://{LOOPBACK}:{self.port}/{database}"


class Worker(Service):
    """``celery -A APP worker …`` as Celery's test harness sets up its own: prefork with one child process."""

    grace = 15.0

    def __init__(self, app: str, name: str, queue: str, logs: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        pool = ["--pool", "prefork", "--concurrency", "1"]
        alone = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        named = ["--hostname", name, "--queues", queue, "--loglevel", "INFO"]
        self._worker = ChildProcess(
            name,
            [sys.executable, "-m", "celery", "-A", app, "worker", *named, *pool, *alone],
            log=logs / f"{name}.log",
            environment=environment,
            folder=ROOT,
        )

    @property
    def processes(self) -> Sequence[ChildProcess]:
        """The worker's parent process."""
        return (self._worker,)

    def is_ready(self) -> bool:
        """Tell whether it consumes."""
        return " ready." in self._worker.output()


@contextmanager
def side_by_side(services: Sequence[Service]) -> Iterator[None]:
    """Have services ready for the length of a ``with`` block; they start and stop together."""
    try:
        for service in services:
            service.launch()
        wait_until_ready(services, Service.start_seconds)
        yield
    finally:
        for service in services:
            service.terminate()
        for service in services:
            service.stop()
