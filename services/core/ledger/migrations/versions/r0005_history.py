"""The history of tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tasks that events told of, and when a recorder was last at work."""
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("first_at", INSTANT, nullable=False),
        *(
            sa.Column(name, sa.Text)
            for name in ("name", "queue", "broker", "worker", "root_id", "parent_id", "group_id", "chord_id")
        ),
        sa.Column("chord_task", sa.Text),
        sa.Column("retries", sa.BigInteger),
        sa.Column("next_steps", sa.JSON),
        *(sa.Column(name, sa.Text) for name in ("args", "kwargs", "eta")),
        *(sa.Column(name, INSTANT) for name in ("sent_at", "received_at", "started_at", "ended_at")),
        sa.Column("seconds", sa.Double),
        *(sa.Column(name, sa.Text) for name in ("result", "exception", "traceback")),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_table(
        "recorder",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recorder"),
    )
    for column in ("at", "root_id", "group_id", "chord_id"):
        op.create_index(f"ix_tasks_{column}", "tasks", [column])
    for first in ("name", "state", "queue"):
        op.create_index(f"ix_tasks_{first}_first_at_id", "tasks", [first, "first_at", "id"])
    op.create_index("ix_tasks_first_at_id", "tasks", ["first_at", "id"])
