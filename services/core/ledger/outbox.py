"""The outbox: what is accepted and not published yet, in the same transaction as the record that it is accepted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from services.core.ledger.models import OutboxEntry


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Something to publish."""

    subject: str
    """The id of the job, campaign or mail that it belongs to."""
    broker: str
    """Alias of the broker of its first message."""
    priority: int
    """0 to 9; the most urgent is published first."""
    signature: dict[str, Any]
    """The canvas, with the ids of all its tasks."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far publishing is behind."""

    entries: int
    oldest: datetime | None
    """When the oldest entry was accepted."""
    error: str | None
    """Why the oldest entry that could not be published was not."""


def add_entries(session: Session, outgoing: Iterable[Outgoing], now: datetime) -> None:
    """Add what is to be published once the transaction is committed."""
    session.add_all(
        OutboxEntry(
            subject=item.subject,
            broker=item.broker,
            priority=item.priority,
            signature=item.signature,
            created_at=now,
            due_at=now,
            tries=0,
        )
        for item in outgoing
    )


def is_due(session: Session, now: datetime) -> bool:
    """Tell whether there is anything to publish now."""
    return session.scalar(select(OutboxEntry.id).where(OutboxEntry.due_at <= now).limit(1)) is not None


def claim_due(
    session: Session, now: datetime, lease: timedelta, limit: int, *, without: Collection[str] = ()
) -> Sequence[OutboxEntry]:
    """Take entries to publish, the most urgent first, and of equal ones the oldest.

    Args:
        session: A writing transaction.
        now: The present instant.
        lease: For how long nobody else takes them; who dies meanwhile leaves them to others after that.
        limit: How many at most.
        without: Aliases of brokers to which nothing is published now.
    """
    entries = session.scalars(
        select(OutboxEntry)
        .where(OutboxEntry.due_at <= now, OutboxEntry.broker.not_in(without))
        .order_by(OutboxEntry.priority.desc(), OutboxEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for entry in entries:
        entry.due_at = now + lease
    return entries


def remove_entries(session: Session, claimed: Collection[OutboxEntry]) -> None:
    """Remove what was published, as ``claim_due`` gave it; one that is not the caller's any more stays."""
    session.execute(delete(OutboxEntry).where(_still_claimed(claimed)).execution_options(synchronize_session=False))


def remove_of(session: Session, subject: str) -> None:
    """Remove what is not published yet of something that is called off; what a relay has in hand may go out."""
    session.execute(delete(OutboxEntry).where(OutboxEntry.subject == subject))


def postpone(session: Session, claimed: OutboxEntry, due_at: datetime, error: str) -> None:
    """Leave an entry for later, as ``claim_due`` gave it, and note why it could not be published."""
    session.execute(
        update(OutboxEntry)
        .where(_still_claimed([claimed]))
        .values(due_at=due_at, error=error, tries=OutboxEntry.tries + 1)
        .execution_options(synchronize_session=False)
    )


def give_back(session: Session, claimed: Collection[OutboxEntry], now: datetime) -> None:
    """Leave to the next turn what was taken, as ``claim_due`` gave it, and not tried."""
    session.execute(
        update(OutboxEntry)
        .where(_still_claimed(claimed))
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )


def measure_lag(session: Session) -> Lag:
    """Tell how much waits to be published, and since when."""
    entries, oldest = session.execute(select(func.count(), func.min(OutboxEntry.created_at))).one()
    error = session.scalar(
        select(OutboxEntry.error).where(OutboxEntry.error.is_not(None)).order_by(OutboxEntry.id).limit(1)
    )
    return Lag(entries, oldest, error)


def _still_claimed(claimed: Collection[OutboxEntry]) -> ColumnElement[bool]:
    """Say in SQL that a row is one that was claimed; SQLite gives the id of a removed row to the next one."""
    return tuple_(OutboxEntry.id, OutboxEntry.due_at).in_([(entry.id, entry.due_at) for entry in claimed])
