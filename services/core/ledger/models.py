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
LETTER_NAME_LENGTH = 255
"""Of the names in a dead letter, which may be anybody's, what its indexes hold; PostgreSQL refuses long ones."""


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


class KeptLetter(Base):
    """A message that was taken out of circulation, and what became of it."""

    __tablename__ = "dead_letters"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    """What tells it from others; see ``DeadLetter.digest``."""
    task_id: Mapped[str | None]
    task: Mapped[str | None]
    queue: Mapped[str]
    broker: Mapped[str | None]
    reason: Mapped[str]
    detail: Mapped[str]
    traceback: Mapped[str | None]
    root_id: Mapped[str | None]
    """The first task of its workflow."""
    group_id: Mapped[str | None]
    died_at: Mapped[datetime]
    collected_at: Mapped[datetime]
    headers: Mapped[dict[str, Any] | None]
    properties: Mapped[dict[str, Any] | None]
    content_type: Mapped[str | None]
    content_encoding: Mapped[str | None]
    body: Mapped[bytes]
    edited_body: Mapped[bytes | None]
    """What it says when it is replayed, where that is not what it said."""
    replays: Mapped[int]
    """How often its message was replayed before."""
    replay_of: Mapped[int | None]
    """The dead letter whose replay it was; that may be gone by now."""
    replayed_at: Mapped[datetime | None]
    """When it went into the outbox again."""

    __table_args__ = (
        Index(None, "digest", unique=True),
        Index(None, "task_id"),
        Index(None, "root_id"),
        Index(None, "group_id"),
        Index(None, "died_at"),
        Index(None, "queue", "replayed_at"),
    )


class RemovedLetters(Base):
    """How many dead letters of a queue were removed by a limit."""

    __tablename__ = "dead_letters_removed"

    queue: Mapped[str] = mapped_column(primary_key=True)
    expired: Mapped[int]
    over_limit: Mapped[int]
    last_at: Mapped[datetime]


class ApiKey(Base):
    """A key to the HTTP API; what it opens is told by its role."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    """The part of the key that may be shown."""
    label: Mapped[str]
    role: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the whole key, which is nowhere else; see ``usecases.api_keys``."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ApiSession(Base):
    """Somebody who signed in with a key in a browser."""

    __tablename__ = "api_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of what the cookie holds."""
    key_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey(ApiKey.id))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (Index(None, "expires_at"),)


class AuditEntry(Base):
    """Something that was asked of the HTTP API and changes something, or was denied."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    at: Mapped[datetime]
    key_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    role: Mapped[str]
    act: Mapped[str]
    target: Mapped[str]
    """The path, without what the query says."""
    status: Mapped[int | None]
    """The HTTP status that it was answered with; ``None`` while it is under way, or when the API died over it."""
    subject: Mapped[str | None]
    """What it made or changed."""
    ended_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "key_id", "id"), Index(None, "at"))


class IdempotentRequest(Base):
    """A request that is carried out once, however often it is sent."""

    __tablename__ = "idempotent_requests"

    key_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey(ApiKey.id), primary_key=True)
    """Whose it is; two people may think of the same idempotency key."""
    idempotency_key: Mapped[str] = mapped_column(String(LETTER_NAME_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of what was asked for."""
    subject: Mapped[str]
    """The id of what it makes, given before it is made: whoever takes over from a dead process makes the same."""
    claimed_at: Mapped[datetime]
    claim: Mapped[str] = mapped_column(String(64))
    """Tells who has it in hand from who had it before."""
    status: Mapped[int | None]
    """The HTTP status that it was answered with; ``None`` while it is under way."""
    answer: Mapped[dict[str, Any] | None]

    __table_args__ = (Index(None, "claimed_at"),)


class SeenTask(Base):
    """A task that events told of; ``services.core.history.sightings`` says what each column means."""

    __tablename__ = "tasks"

    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    at: Mapped[datetime]
    first_at: Mapped[datetime]
    name: Mapped[str | None]
    queue: Mapped[str | None]
    broker: Mapped[str | None]
    worker: Mapped[str | None]
    root_id: Mapped[str | None]
    parent_id: Mapped[str | None]
    group_id: Mapped[str | None]
    chord_id: Mapped[str | None]
    chord_task: Mapped[str | None]
    retries: Mapped[int | None]
    next_steps: Mapped[list[Any] | None]
    args: Mapped[str | None]
    kwargs: Mapped[str | None]
    eta: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    received_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    seconds: Mapped[float | None]
    result: Mapped[str | None]
    exception: Mapped[str | None]
    traceback: Mapped[str | None]

    __table_args__ = (
        Index(None, "at"),
        Index(None, "root_id"),
        Index(None, "group_id"),
        Index(None, "chord_id"),
        Index(None, "first_at", "id"),
        Index("ix_tasks_name_first_at_id", "name", "first_at", "id"),
        Index("ix_tasks_state_first_at_id", "state", "first_at", "id"),
        Index("ix_tasks_queue_first_at_id", "queue", "first_at", "id"),
    )


class RecorderSeen(Base):
    """When a recorder last kept what it heard, and what recorders had to drop; a single row."""

    __tablename__ = "recorder"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    seen_at: Mapped[datetime]
    dropped: Mapped[int]
    """Tasks that were heard of while the ledger took nothing and there was no room left."""
