"""The tables of the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, ForeignKeyConstraint, Index, MetaData, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.ledger import states
from services.core.ledger.columns import BIG_KEY, STATE, PlainText, UtcDateTime, states_of
from services.core.ledger.states import State

ID_LENGTH = 64
"""Room for every id: Switchyard's own have 24 characters, a campaign's is chosen by a person."""


class Base(DeclarativeBase):
    """What all tables share; constraints have names, so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: PlainText,
        int: BigInteger,
        datetime: UtcDateTime,
        State: STATE,
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
    }


class Job(Base):
    """A set of files that were submitted together."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    state: Mapped[State]
    reason: Mapped[str | None]
    """Why the job as a whole failed."""
    notify: Mapped[str | None]
    """Who gets a mail when the job has ended."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    cleaned_at: Mapped[datetime | None]
    """When its files and artefacts were removed from storage."""

    __table_args__ = (states_of(states.JOB, "state"), Index(None, "cleaned_at", "finished_at"))


class File(Base):
    """One submitted file, and what became of it."""

    __tablename__ = "files"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey(Job.id))
    name: Mapped[str]
    """As the person wrote it; the name in storage is a safe form of it."""
    path: Mapped[str]
    """Where the submitted file lies, relative to the storage root."""
    status: Mapped[State]
    reason: Mapped[str | None]
    kind: Mapped[str | None]
    media_type: Mapped[str | None]
    bytes: Mapped[int]
    sha256: Mapped[str | None]
    seconds: Mapped[float | None]
    facts: Mapped[dict[str, Any] | None]
    artefacts: Mapped[list[Any] | None]
    members: Mapped[list[Any] | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        states_of(states.FILE, "status"),
        Index(None, "job_id", "id"),
        Index(None, "job_id", "status"),
    )


class Campaign(Base):
    """A mailing of one template to a list of recipients; its id is its identity."""

    __tablename__ = "campaigns"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    template: Mapped[str]
    state: Mapped[State]
    list_name: Mapped[str]
    list_digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 over the normalised addresses of the list that was given last."""
    duplicates: Mapped[int]
    """Rows of that list which repeated an address."""
    without_address: Mapped[int]
    """Rows of that list which had no address."""
    created_at: Mapped[datetime]
    moved_at: Mapped[datetime]
    """When a chunk was last released or decided."""
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        states_of(states.CAMPAIGN, "state"),
        Index(None, "list_digest", "template"),
        Index(None, "state", "moved_at"),
    )


class CampaignChunk(Base):
    """A part of a campaign that travels as one message."""

    __tablename__ = "chunks"

    campaign_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey(Campaign.id), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    state: Mapped[State]
    reason: Mapped[str | None]
    released_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (states_of(states.CHUNK, "state"), Index(None, "campaign_id", "state", "number"))


class CampaignRecipient(Base):
    """One address of a campaign, and what became of the mail to it."""

    __tablename__ = "recipients"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    campaign_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey(Campaign.id))
    address: Mapped[str]
    address_key: Mapped[str]
    """The normalised address, by which duplicates are told."""
    variables: Mapped[dict[str, Any]]
    status: Mapped[State]
    reason: Mapped[str | None]
    message_id: Mapped[str | None]
    attempt: Mapped[int]
    """1 at first, one more each time that a failed recipient is tried again."""
    chunk_number: Mapped[int | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        states_of(states.RECIPIENT, "status"),
        ForeignKeyConstraint(["campaign_id", "chunk_number"], ["chunks.campaign_id", "chunks.number"]),
        Index(None, "campaign_id", "address_key", unique=True),
        Index(None, "campaign_id", "status", "id"),
        Index(None, "campaign_id", "chunk_number", "id"),
        Index(None, "campaign_id", "id"),
        Index(
            "ix_recipients_in_no_chunk",
            "campaign_id",
            "id",
            sqlite_where=text("chunk_number IS NULL"),
            postgresql_where=text("chunk_number IS NULL"),
        ),
    )


class SingleMail(Base):
    """One mail that belongs to no campaign; its id is also the id of its task and the key of its effect."""

    __tablename__ = "mails"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    to: Mapped[str]
    template: Mapped[str]
    status: Mapped[State]
    reason: Mapped[str | None]
    message_id: Mapped[str | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (states_of(states.MAIL, "status"),)


class OutboxEntry(Base):
    """Something that is accepted and not published yet; a published one is removed."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    subject: Mapped[str] = mapped_column(String(ID_LENGTH))
    """The job, campaign or mail that it belongs to."""
    broker: Mapped[str]
    """Alias of the broker of its first message; while that is out of reach, entries of others go on."""
    priority: Mapped[int]
    signature: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    """When it may be tried; one that a relay has in hand lies as far ahead as its lease is long."""
    tries: Mapped[int]
    error: Mapped[str | None]
    """Why it could not be published last."""

    __table_args__ = (Index(None, "due_at"),)


class RelaySeen(Base):
    """When a relay last looked into the outbox; a single row."""

    __tablename__ = "relay"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    seen_at: Mapped[datetime]
