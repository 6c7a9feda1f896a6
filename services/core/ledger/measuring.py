"""Counts for those who watch the fleet: each is one query, and the large tables are read for what is under way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.core.ledger.models import Campaign, CampaignChunk, CampaignRecipient, File, Job, KeptLetter
from services.core.ledger.states import State


def count_jobs(session: Session) -> Mapping[State, int]:
    """Count jobs by state."""
    return dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())


def count_campaigns(session: Session) -> Mapping[State, int]:
    """Count campaigns by state."""
    counted = select(Campaign.state, func.count()).group_by(Campaign.state)
    return dict(session.execute(counted).all())


def count_open_files(session: Session) -> Mapping[State, int]:
    """Count the files of jobs that run, by status."""
    of_running = select(File.status, func.count()).join(Job, File.job_id == Job.id).where(Job.state == State.RUNNING)
    return dict(session.execute(of_running.group_by(File.status)).all())


def count_dead_letters(session: Session) -> Sequence[tuple[str, str | None, str, int]]:
    """Count the dead letters that were not replayed, by queue, broker and reason."""
    which = KeptLetter.queue, KeptLetter.broker, KeptLetter.reason
    counted = select(*which, func.count()).where(KeptLetter.replayed_at.is_(None)).group_by(*which)
    return [(queue, broker, reason, count) for queue, broker, reason, count in session.execute(counted)]


def latest_campaigns(session: Session, moved_after: datetime, most: int) -> Sequence[str]:
    """Return the ids of the campaigns that moved since an instant, the latest first."""
    moved = select(Campaign.id).where(Campaign.moved_at > moved_after).order_by(Campaign.moved_at.desc()).limit(most)
    return session.scalars(moved).all()


def count_recipients_of(session: Session, campaigns: Collection[str]) -> Sequence[tuple[str, State, int]]:
    """Count the recipients of campaigns by status."""
    column = CampaignRecipient.campaign_id
    counted = select(column, CampaignRecipient.status, func.count()).where(column.in_(campaigns))
    rows = session.execute(counted.group_by(column, CampaignRecipient.status))
    return [(campaign, status, count) for campaign, status, count in rows]


def count_chunks_of(session: Session, campaigns: Collection[str]) -> Sequence[tuple[str, State, int]]:
    """Count the chunks of campaigns by state."""
    column = CampaignChunk.campaign_id
    counted = select(column, CampaignChunk.state, func.count()).where(column.in_(campaigns))
    rows = session.execute(counted.group_by(column, CampaignChunk.state))
    return [(campaign, state, count) for campaign, state, count in rows]
