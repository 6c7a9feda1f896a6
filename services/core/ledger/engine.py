"""Opens the ledger: transactions that read a consistent picture, and transactions that write without deadlock."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Pool, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session

from services.core.ledger.errors import LedgerUnavailable
from services.core.ledger.url import parse_url
from shared.secret import SecretStr

BUSY_TIMEOUT_SECONDS = 30
"""How long a writer waits for another; SQLite has one writer at a time, and a transaction takes milliseconds."""

SERVER_ANSWERS_WITHIN = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""How PostgreSQL's driver finds out that a server is gone without a word, as after a change of its address; by default
a connection hangs for a quarter of an hour.  In seconds, the last one in milliseconds; the URL may say otherwise.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS"""

CONNECTIONS_KEPT = 10
CONNECTIONS_AT_ONCE = 60
"""More than the API has threads, which are 40 and twice 8; a process opens no more than it uses at the same time."""


def utc_now() -> datetime:
    """Give the present instant."""
    return datetime.now(UTC)


class Ledger:
    """The open ledger of one process; may be shared by threads and carried over a fork.

    Args:
        engine: An engine as ``open_ledger`` makes it.
        clock: Gives the instant that records are stamped with.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self._engine = engine
        self._reader = engine.execution_options(**_snapshot(engine.dialect.name))
        self._pid = os.getpid()
        self._inherited: list[Pool] = []

    def __repr__(self) -> str:
        return f"<Ledger on {self._engine.dialect.name}>"

    @property
    def file(self) -> Path | None:
        """The file of an SQLite ledger."""
        database = self._engine.url.database
        return Path(database) if database and self._engine.dialect.name == "sqlite" else None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction in which all queries see the same picture; it never waits for writers.

        Raises:
            LedgerUnavailable: The database is out of reach.
        """
        with self._transaction(self._reader) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block, and leaves nothing behind on an error.

        Raises:
            LedgerUnavailable: The database is out of reach, or too busy for too long.
        """
        with self._transaction(self._engine) as session:
            yield session

    def close(self) -> None:
        """Close all connections; the ledger opens new ones when it is used again."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Session]:
        self._leave_the_parents_connections()
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
        except OperationalError as error:
            raise LedgerUnavailable(error.orig) from error
        except NoConnectionFree as error:
            raise LedgerUnavailable("all connections are in use") from error

    def _leave_the_parents_connections(self) -> None:
        # Closing an inherited connection would end it for the parent too, so the pool is kept and never
        # touched again: https://www.sqlite.org/howtocorrupt.html section 2.6.
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._inherited.append(self._engine.pool)
            self._engine.dispose(close=False)


def open_ledger(url: SecretStr, clock: Callable[[], datetime] = utc_now) -> Ledger:
    """Open the ledger, without connecting yet.

    Args:
        url: ``sqlite:///…`` with a file, or ``postgresql://…``, which is spoken with psycopg 3.
        clock: Gives the instant that records are stamped with.

    Raises:
        InvalidLedgerUrl: Neither of the two.  The message shows nothing of the URL.
    """
    return Ledger(_engine(parse_url(url)), clock)


def as_json(value: Any) -> str:
    """Write JSON that every database accepts and that can be written to a file in UTF-8.

    A number that JSON does not have becomes ``null``, half a surrogate pair becomes ``?``.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except ValueError:
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        text = json.dumps(finite, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def _engine(url: URL) -> Engine:
    pool = {"pool_size": CONNECTIONS_KEPT, "max_overflow": CONNECTIONS_AT_ONCE - CONNECTIONS_KEPT}
    if url.get_backend_name() != "sqlite":
        patience = {name: value for name, value in SERVER_ANSWERS_WITHIN.items() if name not in url.query}
        return create_engine(
            url, json_serializer=as_json, hide_parameters=True, pool_pre_ping=True, connect_args=patience, **pool
        )
    timeout = {"timeout": BUSY_TIMEOUT_SECONDS}
    engine = create_engine(url, json_serializer=as_json, hide_parameters=True, connect_args=timeout, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transactions begin too late to be consistent; _begin_sqlite begins them.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: two that began as readers and then both wanted to write could
    # only be resolved by failing one of them.
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))


def _snapshot(dialect: str) -> dict[str, Any]:
    if dialect == "sqlite":
        return {"sqlite_begin": "BEGIN"}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
