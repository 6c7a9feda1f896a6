"""Dead letters, and how many of them the limits have cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the dead letters and the count of those that were removed by a limit."""
    op.create_table(
        "dead_letters",
        sa.Column("id", KEY, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("task_id", sa.Text),
        sa.Column("task", sa.Text),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("broker", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("traceback", sa.Text),
        sa.Column("root_id", sa.Text),
        sa.Column("group_id", sa.Text),
        sa.Column("died_at", INSTANT, nullable=False),
        sa.Column("collected_at", INSTANT, nullable=False),
        sa.Column("headers", sa.JSON),
        sa.Column("properties", sa.JSON),
        sa.Column("content_type", sa.Text),
        sa.Column("content_encoding", sa.Text),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("edited_body", sa.LargeBinary),
        sa.Column("replays", sa.BigInteger, nullable=False),
        sa.Column("replay_of", sa.BigInteger),
        sa.Column("replayed_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
    )
    op.create_index("ix_dead_letters_digest", "dead_letters", ["digest"], unique=True)
    for column in ("task_id", "root_id", "group_id", "died_at"):
        op.create_index(f"ix_dead_letters_{column}", "dead_letters", [column])
    op.create_index("ix_dead_letters_queue_replayed_at", "dead_letters", ["queue", "replayed_at"])
    op.create_table(
        "dead_letters_removed",
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("expired", sa.BigInteger, nullable=False),
        sa.Column("over_limit", sa.BigInteger, nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("queue", name="pk_dead_letters_removed"),
    )
