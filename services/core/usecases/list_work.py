"""List jobs and campaigns, the latest first, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select

from services.core.ledger import states
from services.core.ledger.campaigns import the_campaign
from services.core.ledger.counting import count_by_owner
from services.core.ledger.engine import Ledger
from services.core.ledger.models import Campaign, CampaignRecipient, File, Job
from services.core.ledger.states import State
from services.core.usecases.records import Page


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in a list."""

    id: str
    state: State
    created_at: datetime
    finished_at: datetime | None
    counts: dict[State, int]
    """Its files by status."""


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """A campaign in a list."""

    id: str
    template: str
    state: State
    list_name: str
    created_at: datetime
    finished_at: datetime | None
    counts: dict[State, int]
    """Its recipients by status."""


def list_jobs(
    ledger: Ledger, *, state: State | None = None, after: str | None = None, limit: int
) -> Page[JobLine, str]:
    """List jobs.

    Args:
        ledger: The ledger.
        state: Only jobs in this state.
        after: Where the page before ended; its ``after``.
        limit: The most to list.
    """
    query = select(Job).order_by(Job.id.desc()).limit(limit + 1)
    query = query if state is None else query.where(Job.state == state)
    query = query if after is None else query.where(Job.id < after)
    with ledger.reading() as session:
        rows = session.scalars(query).all()
        ids = [row.id for row in rows[:limit]]
        counts = count_by_owner(session, File.job_id, ids, File.status, states.FILE)
    page = tuple(JobLine(row.id, row.state, row.created_at, row.finished_at, counts[row.id]) for row in rows[:limit])
    return Page(page, page[-1].id if len(rows) > limit else None)


def list_campaigns(
    ledger: Ledger, *, state: State | None = None, after: str | None = None, limit: int
) -> Page[CampaignLine, str]:
    """List campaigns; see ``list_jobs``.

    Raises:
        UnknownId: There is no campaign with the id ``after``.
    """
    query = select(Campaign).order_by(Campaign.created_at.desc(), Campaign.id.desc()).limit(limit + 1)
    query = query if state is None else query.where(Campaign.state == state)
    with ledger.reading() as session:
        if after is not None:
            last = the_campaign(session, after)
            same = and_(Campaign.created_at == last.created_at, Campaign.id < last.id)
            query = query.where(or_(Campaign.created_at < last.created_at, same))
        rows = session.scalars(query).all()
        ids = [row.id for row in rows[:limit]]
        counts = count_by_owner(session, CampaignRecipient.campaign_id, ids, CampaignRecipient.status, states.RECIPIENT)
    page = tuple(
        CampaignLine(row.id, row.template, row.state, row.list_name, row.created_at, row.finished_at, counts[row.id])
        for row in rows[:limit]
    )
    return Page(page, page[-1].id if len(rows) > limit else None)
