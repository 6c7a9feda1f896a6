"""Opens the ledger: transactions that read a consistent picture, and transactions that write without deadlock."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import URL, Connection, Engine, Pool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from services.core.ledger.errors import InvalidLedgerUrl

BUSY_TIMEOUT_SECONDS = 30
"""How long a writer waits for another; SQLite has one writer at a time, and a transaction takes milliseconds."""

POSTGRES_SPELLINGS = ("postgres", "postgresql", "postgresql+psycopg")
ACCEPTED = (
    "The ledger lives in sqlite:///path/to/file.db or postgresql://user:password@host:5432/database; "
    "special characters in a password are written as %xx."
)


def utc_now() -> datetime:
    """Give the present instant."""
    return datetime.now(UTC)


class Ledger:
    """The open ledger of one process; may be shared by threads and carried over a fork.

    Args:
        engine: An engine from ``open_ledger``.
        clock: Gives the instant that records are stamped with.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self._engine = engine
        self._reader = engine.execution_options(isolation_level=_snapshot(engine), sqlite_begin="BEGIN")
        self._writer = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._pid = os.getpid()
        self._inherited: list[Pool] = []

    def __repr__(self) -> str:
        return f"<Ledger {self._engine.url!r}>"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction in which all queries see the same picture; it never waits for writers."""
        self._leave_the_parents_connections()
        with Session(self._reader, autoflush=False) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block and leaves nothing behind on an error."""
        self._leave_the_parents_connections()
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all connections; the ledger opens new ones when it is used again."""
        self._engine.dispose()

    def _leave_the_parents_connections(self) -> None:
        # Closing an inherited connection would end it for the parent too, so the pool is kept and never
        # touched again: https://www.sqlite.org/howtocorrupt.html section 2.6.
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._inherited.append(self._engine.pool)
            self._engine.dispose(close=False)


def open_ledger(url: SecretStr, clock: Callable[[], datetime] = utc_now) -> Ledger:
    """Open the ledger without connecting yet.

    Args:
        url: ``sqlite:///…`` with a file, or ``postgresql://…``, which is spoken with psycopg 3.
        clock: Gives the instant that records are stamped with.

    Raises:
        InvalidLedgerUrl: Neither of the two.  The message shows nothing of the URL.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Ledger(_sqlite_engine(parsed), clock)
    return Ledger(
        create_engine(parsed, json_serializer=as_json, hide_parameters=True, pool_pre_ping=True), clock
    )


def parse_url(url: SecretStr) -> URL:
    """Understand the URL of a ledger; ``postgresql://`` and ``postgres://`` mean psycopg 3.

    Raises:
        InvalidLedgerUrl: It is no SQLite file and no PostgreSQL database.
    """
    try:
        parsed = make_url(url.get_secret_value())
    except (ArgumentError, ValueError):
        raise InvalidLedgerUrl(f"The URL of the ledger cannot be understood. {ACCEPTED}") from None
    if parsed.drivername in POSTGRES_SPELLINGS:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise InvalidLedgerUrl(f"The URL of the ledger names no file and no PostgreSQL database. {ACCEPTED}")


def as_json(value: Any) -> str:
    """Write JSON that PostgreSQL accepts: numbers that JSON does not have become ``null``."""
    text = json.dumps(value)
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(json.loads(text, parse_constant=lambda _: None))


def _snapshot(engine: Engine) -> str:
    return "SERIALIZABLE" if engine.dialect.name == "sqlite" else "REPEATABLE READ"


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        json_serializer=as_json,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin too late to be consistent; "begin" below begins them.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A write transaction takes its lock at once: two that begin as readers and then both want
        # to write could only be resolved by failing one of them.
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))

    return engine
