"""Sign-in with a key: sessions for browsers, which keep a token in a cookie instead of the key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import NamedTuple

from services.core.ledger.access import live_session, remove_sessions
from services.core.ledger.engine import Ledger
from services.core.ledger.models import ApiKey, ApiSession
from services.core.usecases.api_keys import KeyEntry, Role, digest_of

LASTS = timedelta(hours=12)
"""A working day; who stays longer signs in again."""
TOKEN_BYTES = 32
LONGEST_TOKEN = 64


class SignedIn(NamedTuple):
    """A session that has begun."""

    token: str
    """What the cookie holds."""
    csrf: str
    """What a page of ours has to send with everything that changes something."""


def sign_in(ledger: Ledger, key: KeyEntry) -> SignedIn:
    """Begin a session for somebody who has shown a key; sessions that have expired are removed."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = ledger.clock()
    with ledger.writing() as session:
        remove_sessions(session, expired_at=now)
        session.add(ApiSession(digest=digest_of(token), key_id=key.id, created_at=now, expires_at=now + LASTS))
    return SignedIn(token, csrf_of(token))


def known_session(ledger: Ledger, token: str) -> KeyEntry | None:
    """Return the key of a session; ``None`` when it has expired, was ended, or its key was revoked."""
    if len(token) > LONGEST_TOKEN:
        return None
    with ledger.reading() as session:
        found = live_session(session, digest_of(token), ledger.clock())
        row = session.get(ApiKey, found.key_id) if found is not None else None
        if row is None or row.revoked_at is not None:
            return None
        return KeyEntry(row.id, row.label, Role(row.role), row.created_at, row.last_used_at, row.revoked_at)


def sign_out(ledger: Ledger, token: str) -> None:
    """End a session."""
    with ledger.writing() as session:
        found = session.get(ApiSession, digest_of(token))
        if found is not None:
            session.delete(found)


def csrf_of(token: str) -> str:
    """Return what proves that a request comes from a page of ours: it follows from a cookie that no page can read."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()
