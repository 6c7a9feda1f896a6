"""Chunks: how recipients are cut into them, and how a window of them is released."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Subquery, Text, cast, func, select, update
from sqlalchemy.orm import Session

from services.core.ledger import states
from services.core.ledger.counting import count_by_state
from services.core.ledger.errors import UnknownId
from services.core.ledger.models import Campaign, CampaignChunk, CampaignRecipient
from services.core.ledger.states import State
from shared.reports import Chunk, Recipient


class Waiting(NamedTuple):
    """Recipients that are pending and in no chunk."""

    number: int
    longest: int
    """How many characters the longest has, address and variables."""


def waiting_recipients(session: Session, campaign_id: str) -> Waiting:
    """Count the recipients of a campaign that are to be cut into chunks, and measure them."""
    length = func.length(CampaignRecipient.address) + func.length(cast(CampaignRecipient.variables, Text))
    query = select(func.count(), func.max(length)).where(*_waits(campaign_id))
    number, longest = session.execute(query).one()
    return Waiting(number, longest or 0)


def cut_chunks(session: Session, campaign_id: str, size: int, most: int) -> int:
    """Put recipients that are pending and in no chunk into new waiting chunks, in two statements.

    Args:
        session: A writing transaction that holds the lock of the campaign.
        campaign_id: The campaign.
        size: How many recipients go into a chunk; the last may have fewer.
        most: How many chunks to make at most.

    Returns:
        How many were made; fewer than ``most`` when no recipient is left over.
    """
    loose = _loose_recipients(campaign_id, size * most)
    made = -(-(session.scalar(select(func.count()).select_from(loose)) or 0) // size)
    if not made:
        return 0
    first = _last_number(session, campaign_id) + 1
    session.add_all(
        CampaignChunk(campaign_id=campaign_id, number=number, state=states.CHUNK.start)
        for number in range(first, first + made)
    )
    session.flush()
    placed = select(loose.c.id, func.row_number().over(order_by=loose.c.id).label("position")).subquery()
    session.execute(
        update(CampaignRecipient)
        .where(CampaignRecipient.id == placed.c.id)
        .values(chunk_number=first + (placed.c.position - 1) // size),
        execution_options={"synchronize_session": False},
    )
    return made


def claim_chunks(
    session: Session, campaign: Campaign, window: int, now: datetime, stale_before: datetime
) -> list[Chunk]:
    """Release waiting chunks, in order, until ``window`` are under way; release stale ones again.

    Args:
        session: A writing transaction that holds the lock of the campaign.
        campaign: The campaign.
        window: How many chunks may be under way at once.
        now: When they are released.
        stale_before: A chunk under way since before this instant is taken for lost on the way.

    Returns:
        The chunks to publish, with those recipients that are pending.
    """
    under_way = _chunks(session, campaign.id, State.RELEASED)
    stale = [chunk for chunk in under_way if chunk.released_at and chunk.released_at < stale_before]
    room = max(0, window - len(under_way))
    released = stale + _chunks(session, campaign.id, State.WAITING, limit=room)
    for chunk in released:
        chunk.state, chunk.released_at = State.RELEASED, now
    if released:
        campaign.moved_at = now
    return _as_messages(session, campaign, [chunk.number for chunk in released])


def end_chunk(
    session: Session, campaign: Campaign, number: int, target: State, now: datetime, reason: str | None = None
) -> None:
    """Move a chunk to a state in which it has ended, unless it is there already.

    Raises:
        UnknownId: The campaign has no such chunk.
    """
    chunk = session.get(CampaignChunk, (campaign.id, number))
    if chunk is None:
        raise UnknownId(f"chunk of campaign {campaign.id!r}", str(number))
    if states.CHUNK.allows(chunk.state, target):
        chunk.state, chunk.reason, chunk.finished_at = target, reason, now
        campaign.moved_at = now


def count_chunks(session: Session, campaign_id: str) -> dict[State, int]:
    """Count the chunks of a campaign by state; a state without chunks counts 0."""
    of_campaign = CampaignChunk.campaign_id == campaign_id
    return count_by_state(session, CampaignChunk.state, states.CHUNK, of_campaign)


def _loose_recipients(campaign_id: str, most: int) -> Subquery:
    return (
        select(CampaignRecipient.id).where(*_waits(campaign_id)).order_by(CampaignRecipient.id).limit(most).subquery()
    )


def _waits(campaign_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        CampaignRecipient.campaign_id == campaign_id,
        CampaignRecipient.chunk_number.is_(None),
        CampaignRecipient.status == State.PENDING,
    )


def _last_number(session: Session, campaign_id: str) -> int:
    highest = select(func.max(CampaignChunk.number)).where(CampaignChunk.campaign_id == campaign_id)
    return session.scalar(highest) or 0


def _chunks(session: Session, campaign_id: str, state: State, limit: int | None = None) -> list[CampaignChunk]:
    query = (
        select(CampaignChunk)
        .where(CampaignChunk.campaign_id == campaign_id, CampaignChunk.state == state)
        .order_by(CampaignChunk.number)
        .limit(limit)
    )
    return list(session.scalars(query))


def _as_messages(session: Session, campaign: Campaign, numbers: Sequence[int]) -> list[Chunk]:
    recipients: defaultdict[int | None, list[Recipient]] = defaultdict(list)
    rows = session.execute(
        select(
            CampaignRecipient.id,
            CampaignRecipient.address,
            CampaignRecipient.variables,
            CampaignRecipient.chunk_number,
        )
        .where(
            CampaignRecipient.campaign_id == campaign.id,
            CampaignRecipient.chunk_number.in_(numbers),
            CampaignRecipient.status == State.PENDING,
        )
        .order_by(CampaignRecipient.id)
    )
    for recipient_id, address, variables, number in rows:
        recipients[number].append({"recipient_id": recipient_id, "address": address, "variables": variables})
    return [
        {
            "campaign_id": campaign.id,
            "number": number,
            "template": campaign.template,
            "recipients": recipients[number],
            "outcomes": [],
        }
        for number in numbers
    ]
