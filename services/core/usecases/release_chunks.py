"""Release the next chunks of a campaign."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from services.core.ledger.campaigns import the_campaign
from services.core.ledger.chunks import claim_chunks
from services.core.ledger.engine import Ledger
from services.core.ledger.outbox import Outgoing, add_entries
from services.core.ledger.states import State
from shared.reports import Chunk

STALE_AFTER = timedelta(hours=1)
"""A chunk takes seconds, or minutes of retries; after an hour its message is taken for lost."""


def release_chunks(
    ledger: Ledger,
    campaign_id: str,
    window: int,
    *,
    stale_after: timedelta = STALE_AFTER,
    publish: Callable[[Chunk], Outgoing] | None = None,
) -> list[Chunk]:
    """Claim waiting chunks for sending until ``window`` of the campaign are under way, and put them into the outbox.

    No chunk is given to two callers.  One whose message got lost all the same (its broker lost its disk) is given out
    again once it is stale; that repeats no mail, because the sending of each recipient is guarded by a claim.

    Args:
        ledger: The ledger.
        campaign_id: The campaign; one that is not running releases nothing.
        window: How many of its chunks may be under way at once.
        stale_after: How long a chunk may be under way.
        publish: Makes of a chunk what is to be published.

    Returns:
        The chunks, each with those of its recipients that are pending; possibly none.

    Raises:
        UnknownId: There is no such campaign.
    """
    with ledger.writing() as session:
        campaign = the_campaign(session, campaign_id, lock=True)
        if campaign.state is not State.RUNNING:
            return []
        now = ledger.clock()
        chunks = claim_chunks(session, campaign, window, now, stale_before=now - stale_after)
        if publish is not None:
            add_entries(session, map(publish, chunks), now)
        return chunks
