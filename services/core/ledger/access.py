"""Who may use the HTTP API, and what was asked of it: the queries of keys, sessions and the audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from services.core.ledger.errors import UnknownId
from services.core.ledger.models import ApiKey, ApiSession, AuditEntry


def the_key(session: Session, key_id: str, *, lock: bool = False) -> ApiKey:
    """Find a key, revoked or not.

    Raises:
        UnknownId: There is none.
    """
    key = session.get(ApiKey, key_id, with_for_update=lock)
    if key is None:
        raise UnknownId("API key", key_id, session.scalars(select(ApiKey.id)).all())
    return key


def can_be_read(session: Session) -> None:
    """Read something, to learn whether one can."""
    session.execute(select(ApiKey.id).limit(1))


def all_keys(session: Session) -> Sequence[ApiKey]:
    """List all keys, revoked ones too, the oldest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)).all()


def note_use(session: Session, key_id: str, now: datetime) -> None:
    """Note when a key was used last."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))


def live_session(session: Session, digest: str, now: datetime) -> ApiSession | None:
    """Find a session that has not expired, by the digest of its token."""
    found = session.get(ApiSession, digest)
    return found if found is not None and found.expires_at > now else None


def remove_sessions(session: Session, *, key_id: str | None = None, expired_at: datetime | None = None) -> None:
    """Remove the sessions of a key, or those that have expired at an instant."""
    if key_id is not None:
        session.execute(delete(ApiSession).where(ApiSession.key_id == key_id))
    if expired_at is not None:
        session.execute(delete(ApiSession).where(ApiSession.expires_at <= expired_at))


def audit_entries(
    session: Session, *, before: int | None = None, key_id: str | None = None, limit: int
) -> Sequence[AuditEntry]:
    """List the audit, the latest first.

    Args:
        session: Any transaction.
        before: The number of the last entry of the page before.
        key_id: Only what was asked with this key.
        limit: How many at most.
    """
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return session.scalars(query if key_id is None else query.where(AuditEntry.key_id == key_id)).all()
