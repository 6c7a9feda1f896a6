"""Take dead letters into the ledger, and keep them within their limits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from services.core.ledger.dead_letters import add_letters, expire_letters, trim_letters
from services.core.ledger.engine import Ledger
from services.core.ledger.models import KeptLetter
from shared.dead_letters import DeadLetter

logger = logging.getLogger(__name__)

EXPIRED_AT_ONCE = 500
"""In a transaction, so that none takes long."""


def collect_letters(ledger: Ledger, letters: Sequence[DeadLetter], most: int) -> int:
    """Record dead letters, each once, however often it is given.

    Args:
        ledger: The ledger.
        letters: The dead letters.
        most: How many of a queue the ledger keeps; the oldest go, and are counted and logged.

    Returns:
        How many are new.

    Raises:
        LedgerUnavailable: The database is out of reach; nothing was recorded.
    """
    with ledger.writing() as session:
        now = ledger.clock()
        new = add_letters(session, letters, now)
        trimmed = {queue: trim_letters(session, queue, most, now) for queue in sorted({each.queue for each in letters})}
    for queue, count in trimmed.items():
        _tell_trimmed(queue, count, most)
    return new


def clean_letters(ledger: Ledger, older_than: timedelta, most: int) -> int:
    """Remove dead letters that are too old, or of which a queue has too many; return how many.

    Args:
        ledger: The ledger.
        older_than: How long ago they were taken out.
        most: How many of a queue the ledger keeps.
    """
    removed = 0
    while True:
        with ledger.writing() as session:
            now = ledger.clock()
            expired = expire_letters(session, now - older_than, EXPIRED_AT_ONCE, now)
        removed += expired
        if expired < EXPIRED_AT_ONCE:
            break
    with ledger.reading() as session:
        queues = session.scalars(select(KeptLetter.queue).distinct()).all()
    for queue in queues:
        with ledger.writing() as session:
            count = trim_letters(session, queue, most, ledger.clock())
        _tell_trimmed(queue, count, most)
        removed += count
    return removed


def _tell_trimmed(queue: str, count: int, most: int) -> None:
    if count:
        logger.warning("%d dead letters of queue %s were removed: the ledger keeps %d of a queue.", count, queue, most)
