"""Remove from the ledger what ended long ago."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic

from services.core.ledger.ageing import remove_audit, remove_campaign, remove_job, remove_mails
from services.core.ledger.engine import Ledger

ROWS_AT_ONCE = 1000
"""Per transaction, so that none keeps others waiting."""
WITHIN_SECONDS = 120.0
"""Per call; what is left is for the next."""


def clean_ledger(ledger: Ledger, older_than: timedelta, within: float = WITHIN_SECONDS) -> int:
    """Remove jobs, campaigns and single mails that ended long ago, with all that is recorded of them.

    What is open stays, however old.  A job stays until its files are removed from storage.
    The audit of the API goes with the rest.

    Args:
        ledger: The ledger.
        older_than: How long ago they must have ended.
        within: After so many seconds no further rows are removed.

    Returns:
        How many rows were removed.
    """
    ends, before, removed = monotonic() + within, ledger.clock() - older_than, 0
    for remove in (remove_job, remove_campaign, remove_mails, remove_audit):
        while monotonic() < ends:
            with ledger.writing() as session:
                rows = remove(session, before, ROWS_AT_ONCE)
            if not rows:
                break
            removed += rows
    return removed
