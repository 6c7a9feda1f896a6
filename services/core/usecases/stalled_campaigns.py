"""Find campaigns that stand still."""

from __future__ import annotations

from datetime import timedelta

from services.core.ledger import campaigns
from services.core.ledger.engine import Ledger


def stalled_campaigns(ledger: Ledger, idle: timedelta) -> list[str]:
    """List the ids of running campaigns of which nothing was released or decided for a while.

    A crash between recording a chunk and publishing the next can stop a campaign; each one listed wants to be
    advanced.

    Args:
        ledger: The ledger.
        idle: For how long nothing moved.
    """
    with ledger.reading() as session:
        return list(campaigns.stalled_campaigns(session, ledger.clock() - idle))
