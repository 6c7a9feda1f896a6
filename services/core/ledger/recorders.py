"""Whether the history is kept: recorders note that they are at work, and what they had to drop."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.core.ledger.models import RecorderSeen

ONLY_ROW = 1


def note_recorder(session: Session, now: datetime, dropped: int) -> None:
    """Note that a recorder is at work, and how many tasks it has dropped since it noted last."""
    row = session.get(RecorderSeen, ONLY_ROW, with_for_update=True)
    if row is None:
        session.add(RecorderSeen(id=ONLY_ROW, seen_at=now, dropped=dropped))
    else:
        row.seen_at, row.dropped = max(row.seen_at, now), row.dropped + dropped
    session.flush()


def recorder_seen(session: Session) -> RecorderSeen | None:
    """Return when a recorder was last at work; ``None`` when none ever was."""
    return session.get(RecorderSeen, ONLY_ROW)
