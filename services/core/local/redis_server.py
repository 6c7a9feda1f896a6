"""A Redis server of our own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.core.local.errors import NotInstalled
from services.core.local.ports import LOOPBACK, free_ports
from services.core.local.private_files import kept_secret, private_folder, write_private
from services.core.local.processes import ChildProcess
from services.core.local.service import Service
from shared.settings import child_environment

CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir data
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
daemonize no
"""
"""Nothing is answered before it is in the append-only file (decision 9), beside which there are no snapshots.

No eviction: a full broker refuses work instead of losing it.
"""


class LocalRedis(Service):
    """A Redis server with its data below ``folder``, on a free port of the loopback interface.

    Its port and password stay the same over ``restart``; its password and data also from one object to the next.

    Args:
        folder: Made when missing; nobody but its owner can enter it.
        logs: Folder for ``redis.log``; ``folder`` when ``None``.

    Raises:
        NotInstalled: There is no ``redis-server`` (or ``valkey-server``) on the path.
    """

    name = "redis"

    def __init__(self, folder: Path, *, logs: Path | None = None) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise NotInstalled("redis-server")
        self._folder = private_folder(folder.resolve())
        self._password = kept_secret(self._folder / "password")
        (self.port,) = free_ports(1)
        self._server = ChildProcess(
            self.name,
            [program, str(self._folder / "redis.conf")],
            log=(logs or self._folder) / "redis.log",
            environment=child_environment(),
            folder=self._folder,
        )

    @property
    def processes(self) -> Sequence[ChildProcess]:
        """The server."""
        return (self._server,)

    @property
    def ports(self) -> Mapping[str, int]:
        """The one port."""
        return {"redis": self.port}

    def url(self, database: int = 0) -> str:
        """Give the URL of one database, with the password."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/{database}"

    def launch(self) -> None:
        """Write the configuration, then start the server."""
        private_folder(self._folder / "data")
        write_private(
            self._folder / "redis.conf",
            CONFIGURATION.format(host=LOOPBACK, port=self.port, password=self._password),
        )
        super().launch()

    def is_ready(self) -> bool:
        """Tell whether it answers a PING with the right password."""
        try:
            with redis.Redis.from_url(self.url(), socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
