"""Record that a chunk failed as a whole."""

from __future__ import annotations

from services.core.ledger.campaigns import refresh_state, the_campaign
from services.core.ledger.chunks import end_chunk
from services.core.ledger.engine import Ledger
from services.core.ledger.outcomes import decide_rest
from services.core.ledger.states import State


def fail_chunk(ledger: Ledger, campaign_id: str, number: int, reason: str) -> State:
    """Mark the recipients of a chunk that are not decided yet as failed; running the campaign again retries them.

    Args:
        ledger: The ledger.
        campaign_id: The campaign.
        number: The chunk.
        reason: Why it failed, as one sentence for a person.

    Returns:
        The state of the campaign; while it is running, it wants to be advanced.

    Raises:
        UnknownId: There is no such campaign or chunk; nothing was recorded.
    """
    with ledger.writing() as session:
        now = ledger.clock()
        campaign = the_campaign(session, campaign_id, lock=True)
        end_chunk(session, campaign, number, State.FAILED, now, reason)
        decide_rest(session, campaign_id, number, State.FAILED, reason, now)
        if campaign.state is State.RUNNING:
            refresh_state(session, campaign, now)
        return campaign.state
