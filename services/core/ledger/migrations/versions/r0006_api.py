"""Keys of the HTTP API, sessions, audit and idempotent requests; campaigns that pause, work that is cancelled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.String(64)
INSTANT = sa.DateTime(timezone=True)

STATES = (
    ("jobs", "state", ("running", "failed", "done_with_failures", "done"), ("cancelled",)),
    ("campaigns", "state", ("loading", "running", "done"), ("paused", "cancelled")),
    ("chunks", "state", ("waiting", "released", "failed", "done"), ("cancelled",)),
    ("recipients", "status", ("pending", "failed", "unknown", "invalid", "sent"), ("cancelled",)),
)
"""Table, column, the states that it may have, and those that it may have from now on, too."""


def upgrade() -> None:
    """Create the tables of the API, and allow more states."""
    create_keys()
    create_audit()
    create_idempotent_requests()
    for table, column, old, new in STATES:
        allow(table, column, old, (*old, *new))


def create_keys() -> None:
    """Create keys and sessions."""
    op.create_table(
        "api_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT),
        sa.Column("revoked_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_table(
        "api_sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], "fk_api_sessions_key_id"),
        sa.PrimaryKeyConstraint("digest", name="pk_api_sessions"),
    )
    op.create_index("ix_api_sessions_expires_at", "api_sessions", ["expires_at"])


def create_audit() -> None:
    """Create the audit."""
    op.create_table(
        "audit",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("subject", sa.Text),
        sa.Column("ended_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_key_id_id", "audit", ["key_id", "id"])
    op.create_index("ix_audit_at", "audit", ["at"])


def create_idempotent_requests() -> None:
    """Create idempotent requests."""
    op.create_table(
        "idempotent_requests",
        sa.Column("key_id", ID, nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("claimed_at", INSTANT, nullable=False),
        sa.Column("claim", sa.String(64), nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("answer", sa.JSON),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], "fk_idempotent_requests_key_id"),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name="pk_idempotent_requests"),
    )
    op.create_index("ix_idempotent_requests_claimed_at", "idempotent_requests", ["claimed_at"])


def allow(table: str, column: str, old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Confine a column to other states than before."""
    if op.get_context().dialect.name == "sqlite":
        _allow_on_sqlite(table, f"{column} IN ({_words(old)})", f"{column} IN ({_words(new)})")
        return
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({_words(new)})")


def _allow_on_sqlite(table: str, old: str, new: str) -> None:
    # SQLite has no ALTER for a constraint, and to rebuild a table that others point at takes foreign keys out of
    # force.  Its manual edits the text for this very case: https://www.sqlite.org/lang_altertable.html, section 7.
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ? AND instr(sql, ?)",
        (old, new, table, old),
    ).rowcount
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
    if changed != 1:
        raise RuntimeError(f"the states of {table} could not be found in the schema")


def _words(states: tuple[str, ...]) -> str:
    return ", ".join(f"'{state}'" for state in states)
