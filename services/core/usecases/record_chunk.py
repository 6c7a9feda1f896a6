"""Record what became of the recipients of a chunk."""

from __future__ import annotations

from services.core.ledger.campaigns import refresh_state, the_campaign
from services.core.ledger.chunks import end_chunk
from services.core.ledger.engine import Ledger
from services.core.ledger.outcomes import record_outcomes
from services.core.ledger.states import State
from shared.reports import Chunk


def record_chunk(ledger: Ledger, chunk: Chunk) -> State:
    """Store the outcome of each recipient and end the chunk; the second time it changes nothing.

    Returns:
        The state of the campaign; while it is running, it wants to be advanced, also the second time.

    Raises:
        UnknownId: There is no such campaign, chunk or recipient; nothing was recorded.
    """
    with ledger.writing() as session:
        now = ledger.clock()
        campaign = the_campaign(session, chunk["campaign_id"], lock=True)
        record_outcomes(session, chunk, now)
        end_chunk(session, campaign, chunk["number"], State.DONE, now)
        if campaign.state is State.RUNNING:
            refresh_state(session, campaign, now)
        return campaign.state
