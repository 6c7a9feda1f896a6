"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.String(64)
STATE = sa.String(20)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create jobs with their files, campaigns with their chunks and recipients, and single mails."""
    create_jobs()
    create_campaigns()
    create_recipients()
    create_mails()


def create_jobs() -> None:
    """Create jobs and files."""
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("notify", sa.Text),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
        sa.Column("cleaned_at", INSTANT),
        sa.CheckConstraint("state IN ('running', 'failed', 'done_with_failures', 'done')", "state"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_cleaned_at_finished_at", "jobs", ["cleaned_at", "finished_at"])
    op.create_table(
        "files",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("status", STATE, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("kind", sa.Text),
        sa.Column("media_type", sa.Text),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text),
        sa.Column("seconds", sa.Double),
        sa.Column("facts", sa.JSON),
        sa.Column("artefacts", sa.JSON),
        sa.Column("members", sa.JSON),
        sa.Column("finished_at", INSTANT),
        sa.CheckConstraint("status IN ('waiting', 'failed', 'done')", "status"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], "fk_files_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_job_id_id", "files", ["job_id", "id"])
    op.create_index("ix_files_job_id_status", "files", ["job_id", "status"])


def create_campaigns() -> None:
    """Create campaigns and chunks."""
    op.create_table(
        "campaigns",
        sa.Column("id", ID, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.Column("list_name", sa.Text, nullable=False),
        sa.Column("list_digest", sa.String(64), nullable=False),
        sa.Column("duplicates", sa.BigInteger, nullable=False),
        sa.Column("without_address", sa.BigInteger, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("moved_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
        sa.CheckConstraint("state IN ('loading', 'running', 'done')", "state"),
        sa.PrimaryKeyConstraint("id", name="pk_campaigns"),
    )
    op.create_index("ix_campaigns_list_digest_template", "campaigns", ["list_digest", "template"])
    op.create_index("ix_campaigns_state_moved_at", "campaigns", ["state", "moved_at"])
    op.create_table(
        "chunks",
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("released_at", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.CheckConstraint("state IN ('waiting', 'released', 'failed', 'done')", "state"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], "fk_chunks_campaign_id"),
        sa.PrimaryKeyConstraint("campaign_id", "number", name="pk_chunks"),
    )
    op.create_index("ix_chunks_campaign_id_state_number", "chunks", ["campaign_id", "state", "number"])


def create_recipients() -> None:
    """Create recipients."""
    op.create_table(
        "recipients",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("address_key", sa.Text, nullable=False),
        sa.Column("variables", sa.JSON, nullable=False),
        sa.Column("status", STATE, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("message_id", sa.Text),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("chunk_number", sa.BigInteger),
        sa.Column("decided_at", INSTANT),
        sa.CheckConstraint("status IN ('pending', 'failed', 'unknown', 'invalid', 'sent')", "status"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], "fk_recipients_campaign_id"),
        sa.ForeignKeyConstraint(
            ["campaign_id", "chunk_number"],
            ["chunks.campaign_id", "chunks.number"],
            "fk_recipients_campaign_id_chunk_number",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_recipients"),
    )
    op.create_index("ix_recipients_campaign_id_address_key", "recipients", ["campaign_id", "address_key"], unique=True)
    op.create_index("ix_recipients_campaign_id_status_id", "recipients", ["campaign_id", "status", "id"])
    op.create_index("ix_recipients_campaign_id_chunk_number_id", "recipients", ["campaign_id", "chunk_number", "id"])
    op.create_index("ix_recipients_campaign_id_id", "recipients", ["campaign_id", "id"])
    in_no_chunk = sa.text("chunk_number IS NULL")
    op.create_index(
        "ix_recipients_in_no_chunk",
        "recipients",
        ["campaign_id", "id"],
        sqlite_where=in_no_chunk,
        postgresql_where=in_no_chunk,
    )


def create_mails() -> None:
    """Create single mails."""
    op.create_table(
        "mails",
        sa.Column("id", ID, nullable=False),
        sa.Column("to", sa.Text, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("status", STATE, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("message_id", sa.Text),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
        sa.CheckConstraint("status IN ('queued', 'failed', 'unknown', 'invalid', 'sent')", "status"),
        sa.PrimaryKeyConstraint("id", name="pk_mails"),
    )
