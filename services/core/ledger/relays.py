"""When a relay last looked into the outbox."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.core.ledger.models import RelaySeen

THE_ROW = 1


def note_relay(session: Session, now: datetime) -> None:
    """Note that a relay is at work."""
    session.merge(RelaySeen(id=THE_ROW, seen_at=now))


def relay_seen_at(session: Session) -> datetime | None:
    """Return when a relay was at work last, ``None`` if there never was one."""
    row = session.get(RelaySeen, THE_ROW)
    return row.seen_at if row else None
