"""Campaigns and their recipients: what is stored about them, and the queries that add and count them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.core.ledger import states
from services.core.ledger.columns import may_become
from services.core.ledger.counting import count_by_state
from services.core.ledger.errors import TemplateDiffers, UnknownId, WrongState
from services.core.ledger.models import Campaign, CampaignChunk, CampaignRecipient
from services.core.ledger.states import State

OPEN_CHUNKS = (State.WAITING, State.RELEASED)

RENEWED = ("address", "variables", "status", "reason", "message_id", "chunk_number", "decided_at")
"""What a recipient that is tried again takes from its new row; what that leaves out becomes empty."""


@dataclass(frozen=True, slots=True)
class ListSummary:
    """What is known of a recipient list before any of it is recorded."""

    name: str
    digest: str
    """SHA-256 over the normalised addresses, whatever their order."""
    recipients: int
    """How many different addresses it has."""
    duplicates: int
    """How many rows repeat an address."""
    without_address: int


@dataclass(frozen=True, slots=True)
class Added:
    """What became of recipients that were given to a campaign."""

    new: int = 0
    retried: int = 0
    """They had failed before and are pending again."""


def the_campaign(session: Session, campaign_id: str, *, lock: bool = False) -> Campaign:
    """Find a campaign; ``lock`` keeps other writers off it until the transaction ends.

    Every transaction that changes a campaign or anything of it takes this lock first, so none can deadlock.

    Raises:
        UnknownId: There is none.
    """
    campaign = session.get(Campaign, campaign_id, with_for_update=lock)
    if campaign is None:
        raise UnknownId("campaign", campaign_id)
    return campaign


def campaign_with(session: Session, list_digest: str, template: str) -> str | None:
    """Find the latest campaign that mailed this template to this list, by its id."""
    return session.scalar(
        select(Campaign.id)
        .where(Campaign.list_digest == list_digest, Campaign.template == template)
        .order_by(Campaign.created_at.desc(), Campaign.id.desc())
        .limit(1)
    )


def begin_loading(session: Session, campaign_id: str, template: str, summary: ListSummary, now: datetime) -> Campaign:
    """Add a campaign, or take up one that is there; while it is under way it stays so.

    Raises:
        TemplateDiffers: The id belongs to a mailing of another template; nothing was changed.
        WrongState: It was cancelled; nothing was changed.
    """
    row = {"id": campaign_id, "template": template, "state": states.CAMPAIGN.start, **_describe(summary)}
    new = _insert(session, Campaign).values(**row, created_at=now, moved_at=now)
    session.execute(new.on_conflict_do_nothing())
    campaign = the_campaign(session, campaign_id, lock=True)
    if campaign.template != template:
        raise TemplateDiffers(campaign_id, campaign.template, template)
    if campaign.state is State.CANCELLED:
        raise WrongState("campaign", campaign_id, campaign.state, "taken up again; give a new id")
    for column, value in _describe(summary).items():
        setattr(campaign, column, value)
    if states.CAMPAIGN.allows(campaign.state, State.LOADING):
        campaign.state, campaign.finished_at = State.LOADING, None
    return campaign


def add_recipients(session: Session, campaign_id: str, rows: Sequence[Mapping[str, Any]]) -> Added:
    """Add recipients in one statement: new ones, and failed ones again; those under way or decided stay.

    A failed one takes its variables from the new list, because wrong variables may be why it failed.

    Args:
        session: A writing transaction that holds the lock of the campaign.
        campaign_id: The campaign.
        rows: ``address``, ``address_key`` and ``variables`` of each; every key at most once.
    """
    if not rows:
        return Added()
    insert = _insert(session, CampaignRecipient)
    # Only with values of the new row, and no parameters, does SQLAlchemy put many rows into a statement.
    again: dict[str, Any] = {column: insert.excluded[column] for column in RENEWED}
    again["attempt"] = CampaignRecipient.attempt + insert.excluded.attempt
    statement = insert.on_conflict_do_update(
        index_elements=["campaign_id", "address_key"],
        set_=again,
        where=may_become(CampaignRecipient.status, states.RECIPIENT, State.PENDING),
    ).returning(CampaignRecipient.attempt)
    common = {"campaign_id": campaign_id, "status": states.RECIPIENT.start, "attempt": 1}
    # By the connection, for the session takes half as long again to hand them on.
    attempts = session.connection().scalars(statement, [{**row, **common} for row in rows]).all()
    new = attempts.count(1)
    return Added(new=new, retried=len(attempts) - new)


def refresh_state(session: Session, campaign: Campaign, now: datetime) -> None:
    """Set a campaign running while anything of it is undecided, and done when nothing is; a paused one stays so."""
    if campaign.state is State.PAUSED:
        return
    session.flush()
    target = State.RUNNING if _is_open(session, campaign.id) else State.DONE
    if states.CAMPAIGN.allows(campaign.state, target):
        campaign.state = target
        campaign.finished_at = now if target is State.DONE else None


def count_recipients(session: Session, campaign_id: str) -> dict[State, int]:
    """Count the recipients of a campaign by status; a status without recipients counts 0."""
    of_campaign = CampaignRecipient.campaign_id == campaign_id
    return count_by_state(session, CampaignRecipient.status, states.RECIPIENT, of_campaign)


def recipients_of(
    session: Session,
    campaign_id: str,
    *,
    statuses: Collection[State] = (),
    text: str | None = None,
    after: int | None = None,
    limit: int,
) -> Sequence[CampaignRecipient]:
    """List recipients of a campaign in the order in which they were added.

    Args:
        session: Any transaction.
        campaign_id: The campaign.
        statuses: Only recipients with one of these; all without any.
        text: Only recipients whose address or reason has this in it, in whatever case.
        after: The id of the last recipient of the page before.
        limit: The most to list.
    """
    query = (
        select(CampaignRecipient)
        .where(CampaignRecipient.campaign_id == campaign_id, CampaignRecipient.id > (after or 0))
        .order_by(CampaignRecipient.id)
        .limit(limit)
    )
    if statuses:
        query = query.where(CampaignRecipient.status.in_(sorted(statuses)))
    if text is not None:
        searched = (CampaignRecipient.address, CampaignRecipient.reason)
        query = query.where(or_(*(func.lower(column).contains(text.lower(), autoescape=True) for column in searched)))
    return session.scalars(query).all()


def stalled_campaigns(session: Session, moved_before: datetime) -> Sequence[str]:
    """List the ids of running campaigns of which nothing was released or decided since an instant."""
    return session.scalars(
        select(Campaign.id)
        .where(Campaign.state == State.RUNNING, Campaign.moved_at < moved_before)
        .order_by(Campaign.moved_at)
    ).all()


def _describe(summary: ListSummary) -> dict[str, Any]:
    return {
        "list_name": summary.name,
        "list_digest": summary.digest,
        "duplicates": summary.duplicates,
        "without_address": summary.without_address,
    }


def _insert(session: Session, model: type[Any]) -> sqlite.Insert | postgresql.Insert:
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(model)
    return postgresql.insert(model)


def _is_open(session: Session, campaign_id: str) -> bool:
    return bool(session.scalar(_IS_OPEN, {"of": campaign_id}))


_IS_OPEN = select(
    or_(
        exists().where(CampaignChunk.campaign_id == bindparam("of"), CampaignChunk.state.in_(OPEN_CHUNKS)),
        exists().where(CampaignRecipient.campaign_id == bindparam("of"), CampaignRecipient.status == State.PENDING),
    )
)
"""Whether a campaign has chunks that have not ended, or recipients that are undecided; asked for every chunk."""
