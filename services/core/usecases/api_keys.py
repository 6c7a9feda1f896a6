"""Keys of the HTTP API: made, listed, revoked, and told from anything else.

A key is ``yard_<id>_<secret>``.  The secret has 256 random bits, so one round of SHA-256 keeps it: a slow hash protects
what people choose, which can be guessed, and would cost each request what it costs an attacker.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from services.core.ledger.access import all_keys, note_use, the_key
from services.core.ledger.access import remove_sessions as forget_sessions
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import InvalidSubmission
from services.core.ledger.ids import ALPHABET
from services.core.ledger.models import ApiKey

ID_CHARACTERS = 8
SECRET_BYTES = 32
FORM = re.compile(rf"yard_([{ALPHABET}]{{{ID_CHARACTERS}}})_[A-Za-z0-9_-]{{43}}")
LONGEST_LABEL = 100
USE_NOTED_EVERY = timedelta(minutes=1)
"""Reading a key is a read; that it was used is written no more often than this."""


class Role(StrEnum):
    """What a key is for; ``services.core.api.roles`` says which acts that are."""

    VIEWER = "viewer"
    SENDER = "sender"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key as it may be shown."""

    id: str
    label: str
    role: Role
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewKey(NamedTuple):
    """A key that was just made."""

    entry: KeyEntry
    secret: str
    """The whole key, which nobody can tell again."""


def create_key(ledger: Ledger, role: Role, label: str) -> NewKey:
    """Make a key.

    Args:
        ledger: The ledger; it keeps a digest of the key.
        role: What it is for.
        label: Whose it is, in one line.

    Raises:
        InvalidSubmission: The label is empty, too long, or has control characters.
    """
    if not label.isprintable() or not 0 < len(label.strip()) <= LONGEST_LABEL:
        raise InvalidSubmission(f"Say in one line of up to {LONGEST_LABEL} characters whose key it is.")
    key_id = "".join(secrets.choice(ALPHABET) for _ in range(ID_CHARACTERS))
    key = f"yard_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    with ledger.writing() as session:
        row = ApiKey(id=key_id, label=label.strip(), role=str(role), digest=digest_of(key), created_at=ledger.clock())
        session.add(row)
        session.flush()
        return NewKey(_entry(row), key)


def list_keys(ledger: Ledger) -> Sequence[KeyEntry]:
    """List all keys, the oldest first."""
    with ledger.reading() as session:
        return [_entry(row) for row in all_keys(session)]


def revoke_key(ledger: Ledger, key_id: str) -> KeyEntry:
    """Revoke a key: from the next request on it opens nothing, and its sessions are over.

    Raises:
        UnknownId: There is no such key.
    """
    with ledger.writing() as session:
        row = the_key(session, key_id, lock=True)
        row.revoked_at = row.revoked_at or ledger.clock()
        forget_sessions(session, key_id=key_id)
        return _entry(row)


def known_key(ledger: Ledger, key: str) -> KeyEntry | None:
    """Return what is known of a key that somebody shows; ``None`` when it is none, or was revoked.

    Raises:
        LedgerUnavailable: The database is out of reach.
    """
    found = FORM.fullmatch(key)
    if found is None:
        return None
    with ledger.reading() as session:
        row = session.get(ApiKey, found[1])
        digest = row.digest if row is not None else ""
        if not hmac.compare_digest(digest, digest_of(key)) or row is None or row.revoked_at is not None:
            return None
        entry = _entry(row)
    _note_use(ledger, entry)
    return entry


def is_in_force(ledger: Ledger, key_id: str) -> bool:
    """Tell whether a key was not revoked."""
    with ledger.reading() as session:
        return the_key(session, key_id).revoked_at is None


def digest_of(secret: str) -> str:
    """Return what is kept of a secret that has enough random bits by itself."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _note_use(ledger: Ledger, entry: KeyEntry) -> None:
    now = ledger.clock()
    if entry.last_used_at is None or now - entry.last_used_at > USE_NOTED_EVERY:
        with ledger.writing() as session:
            note_use(session, entry.id, now)


def _entry(row: ApiKey) -> KeyEntry:
    return KeyEntry(row.id, row.label, Role(row.role), row.created_at, row.last_used_at, row.revoked_at)
