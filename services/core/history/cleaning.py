"""Keep the history within its bounds."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic

from services.core.ledger.engine import Ledger
from services.core.ledger.history import count_tasks, expire_tasks, trim_tasks

ROWS_AT_ONCE = 1000
"""Per transaction, so that none keeps recorders waiting."""
WITHIN_SECONDS = 120.0
"""Per call; what is left is for the next."""


def clean_history(ledger: Ledger, older_than: timedelta, most: int, within: float = WITHIN_SECONDS) -> int:
    """Remove tasks of which nobody told for long, and the oldest of those that are too many.

    Args:
        ledger: The ledger.
        older_than: For how long.
        most: How many tasks the history keeps.
        within: After so many seconds no further rows are removed.

    Returns:
        How many tasks were removed.
    """
    ends, before, removed = monotonic() + within, ledger.clock() - older_than, 0
    rows = ROWS_AT_ONCE
    while rows == ROWS_AT_ONCE and monotonic() < ends:
        with ledger.writing() as session:
            rows = expire_tasks(session, before, ROWS_AT_ONCE)
        removed += rows
    with ledger.reading() as session:
        beyond = count_tasks(session) - most
    while beyond > 0 and monotonic() < ends:
        with ledger.writing() as session:
            rows = trim_tasks(session, min(ROWS_AT_ONCE, beyond))
        removed, beyond = removed + rows, beyond - max(rows, 1)
    return removed
