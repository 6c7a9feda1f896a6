"""Understands the URL of the ledger, without ever showing it."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from services.core.ledger.errors import InvalidLedgerUrl
from shared.secret import SecretStr

POSTGRES_SPELLINGS = ("postgres", "postgresql", "postgresql+psycopg")
SQLITE_SPELLINGS = ("sqlite", "sqlite+pysqlite")
ACCEPTED = (
    "The ledger lives in sqlite:///path/to/file.db or postgresql://user:password@host:5432/database; "
    "special characters in a password are written as %xx."
)


def parse_url(url: SecretStr) -> URL:
    """Understand the URL of a ledger; ``postgresql://`` and ``postgres://`` mean psycopg 3.

    Raises:
        InvalidLedgerUrl: It is no SQLite file and no PostgreSQL database.  The message shows nothing of it.
    """
    try:
        parsed = make_url(url.get_secret_value())
    except (ArgumentError, ValueError):
        raise InvalidLedgerUrl(f"The URL of the ledger cannot be understood. {ACCEPTED}") from None
    if parsed.drivername in POSTGRES_SPELLINGS:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in SQLITE_SPELLINGS and parsed.database not in {None, "", ":memory:"}:
        return parsed
    raise InvalidLedgerUrl(f"The URL of the ledger names no file and no PostgreSQL database. {ACCEPTED}")
