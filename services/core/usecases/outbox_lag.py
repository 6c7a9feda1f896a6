"""Tell how far publishing is behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.core.ledger.engine import Ledger
from services.core.ledger.outbox import measure_lag
from services.core.ledger.relays import relay_seen_at

AT_WORK_WITHIN = timedelta(seconds=10)
"""How long ago a relay may have looked into the outbox; it does so every 2 seconds, and publishing takes some."""


@dataclass(frozen=True, slots=True)
class OutboxLag:
    """How far publishing is behind."""

    entries: int
    """What is accepted and not published yet."""
    seconds: float
    """How long the oldest entry has been waiting."""
    error: str | None
    """Why the oldest entry that could not be published was not."""
    relay_at_work: bool
    """Whether a relay looked into the outbox lately."""


def outbox_lag(ledger: Ledger) -> OutboxLag:
    """Measure the outbox.

    Raises:
        LedgerUnavailable: The database is out of reach.
    """
    with ledger.reading() as session:
        now = ledger.clock()
        lag = measure_lag(session)
        seen = relay_seen_at(session)
    waited = (now - lag.oldest).total_seconds() if lag.oldest else 0.0
    return OutboxLag(lag.entries, max(0.0, waited), lag.error, seen is not None and now - seen < AT_WORK_WITHIN)
