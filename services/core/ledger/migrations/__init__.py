"""Brings the tables of a ledger to those of this release."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from services.core.ledger.engine import BUSY_TIMEOUT_SECONDS, Ledger, open_ledger
from services.core.ledger.errors import LedgerOutdated
from services.core.ledger.url import parse_url
from shared.secret import SecretStr

UPGRADE_LOCK = 0x5917C4
"""Key of PostgreSQL's advisory lock that keeps two upgrades apart; any number that nobody else uses."""


def upgrade(url: SecretStr) -> None:
    """Create the tables of a ledger, or bring them to this release; safe to run again, and at the same time.

    Tables of a later release are left as they are: while a fleet is deployed, or taken back, both releases run.
    Makes the folder of an SQLite file that is not there yet.

    Raises:
        InvalidLedgerUrl: The URL is no SQLite file and no PostgreSQL database.
        LedgerUnavailable: The database is out of reach.
    """
    parsed = parse_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and parsed.database:
        _prepare_file(Path(parsed.database))
    ledger = open_ledger(url)
    try:
        with ledger.writing() as session:
            connection = session.connection()
            if not sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
            config = _config()
            config.attributes["connection"] = connection
            if not _is_later(MigrationContext.configure(connection).get_current_revision()):
                command.upgrade(config, "head")
    finally:
        ledger.close()


def require_current(ledger: Ledger) -> None:
    """Check that the tables are those of this release, or of a later one, which only adds to them.

    Raises:
        LedgerOutdated: They are missing or older.
        LedgerUnavailable: The database is out of reach.
    """
    expected, found = _head(), _revision(ledger)
    if found != expected and not _is_later(found):
        raise LedgerOutdated(
            f"The ledger's tables are at revision {found or 'none'}, this release works with {expected}. "
            "Start the fleet with `yard up`, which brings them up to date."
        )


def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _is_later(revision: str | None) -> bool:
    """Tell whether a revision is one of a later release; they are numbered."""
    return revision is not None and revision.isdigit() and revision > str(_head())


def _revision(ledger: Ledger) -> str | None:
    if ledger.file is not None and not ledger.file.exists():
        return None  # SQLite would make an empty one
    with ledger.reading() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def _prepare_file(path: Path) -> None:
    # Write-ahead logging, in which readers and the writer do not wait for each other, is a lasting property
    # of the file.  SQLite does not wait its turn to set it (it fails as locked), so the folder serves as lock.
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent), closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
