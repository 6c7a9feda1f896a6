"""Pause, resume and cancel a campaign."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from services.core.ledger import states
from services.core.ledger.campaigns import refresh_state, the_campaign
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import WrongState
from services.core.ledger.models import Campaign, CampaignChunk, CampaignRecipient
from services.core.ledger.outbox import Outgoing, add_entries
from services.core.ledger.states import State

CANCELLED_AT_ONCE = 5_000
"""Recipients per transaction, so that none keeps others waiting."""


def pause_campaign(ledger: Ledger, campaign_id: str) -> State:
    """Release no more chunks of a campaign; those that are under way are sent, a window of them at most.

    Raises:
        UnknownId: There is no such campaign.
        WrongState: It is not running; nothing was changed.
    """
    with ledger.writing() as session:
        campaign = the_campaign(session, campaign_id, lock=True)
        return _move(campaign, State.PAUSED, ledger.clock(), "paused")


def resume_campaign(ledger: Ledger, campaign_id: str, *, publish: Callable[[str], Outgoing] | None = None) -> State:
    """Let a paused campaign go on; one that has nothing left to do is done.

    Args:
        ledger: The ledger.
        campaign_id: The campaign.
        publish: Makes of its id what is to be published to have it advanced.

    Raises:
        UnknownId: There is no such campaign.
        WrongState: It is neither paused nor running; nothing was changed.
    """
    with ledger.writing() as session:
        campaign = the_campaign(session, campaign_id, lock=True)
        was, now = campaign.state, ledger.clock()
        if was is not State.RUNNING and was is not State.PAUSED:
            raise WrongState("campaign", campaign_id, was, "resumed")
        _move(campaign, State.RUNNING, now, "resumed")
        refresh_state(session, campaign, now)
        if was is State.PAUSED and campaign.state is State.RUNNING and publish is not None:
            add_entries(session, [publish(campaign_id)], now)
        return campaign.state


def cancel_campaign(ledger: Ledger, campaign_id: str) -> State:
    """Call off what a campaign has not begun to send; what is under way is sent and recorded.

    A second call completes one that was cut off.

    Raises:
        UnknownId: There is no such campaign.
        WrongState: It is done; nothing was changed.
    """
    with ledger.writing() as session:
        campaign = the_campaign(session, campaign_id, lock=True)
        now = ledger.clock()
        state = _move(campaign, State.CANCELLED, now, "cancelled")
        campaign.finished_at = campaign.finished_at or now
        session.execute(
            update(CampaignChunk)
            .where(CampaignChunk.campaign_id == campaign_id, CampaignChunk.state == State.WAITING)
            .values(state=State.CANCELLED, finished_at=now)
        )
    while _cancel_recipients(ledger, campaign_id) == CANCELLED_AT_ONCE:
        pass
    return state


def _move(campaign: Campaign, target: State, now: datetime, act: str) -> State:
    if campaign.state is not target:
        if not states.CAMPAIGN.allows(campaign.state, target):
            raise WrongState("campaign", campaign.id, campaign.state, act)
        campaign.state, campaign.moved_at = target, now
    return campaign.state


def _cancel_recipients(ledger: Ledger, campaign_id: str) -> int:
    with ledger.writing() as session:
        the_campaign(session, campaign_id, lock=True)
        found = _not_under_way(session, campaign_id)
        session.execute(
            update(CampaignRecipient)
            .where(CampaignRecipient.id.in_(found))
            .values(status=State.CANCELLED, decided_at=ledger.clock()),
            execution_options={"synchronize_session": False},
        )
        return len(found)


def _not_under_way(session: Session, campaign_id: str) -> list[int]:
    called_off = select(CampaignChunk.number).where(
        CampaignChunk.campaign_id == campaign_id, CampaignChunk.state == State.CANCELLED
    )
    rows = session.scalars(
        select(CampaignRecipient.id)
        .where(
            CampaignRecipient.campaign_id == campaign_id,
            CampaignRecipient.status == State.PENDING,
            or_(CampaignRecipient.chunk_number.is_(None), CampaignRecipient.chunk_number.in_(called_off)),
        )
        .limit(CANCELLED_AT_ONCE)
    )
    return list(rows)
