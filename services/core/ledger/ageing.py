"""What has ended long ago: the queries that remove it, some rows at a time and never anything open."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Delete, delete, select
from sqlalchemy.orm import Session

from services.core.ledger.models import AuditEntry, Campaign, CampaignChunk, CampaignRecipient, File, Job, SingleMail
from services.core.ledger.states import State

if TYPE_CHECKING:
    from sqlalchemy.engine import CursorResult


def remove_job(session: Session, ended_before: datetime, most: int) -> int:
    """Remove rows of the job that ended first, before an instant, and whose files are no longer in storage.

    Args:
        session: A writing transaction.
        ended_before: What ended later stays.
        most: How many rows of files to remove at most; the job itself goes with the last of them.

    Returns:
        How many rows were removed; 0 when no such job is left.
    """
    job_id = session.scalar(
        select(Job.id)
        .where(Job.cleaned_at.is_not(None), Job.finished_at < ended_before)
        .order_by(Job.finished_at)
        .limit(1)
        .with_for_update()
    )
    if job_id is None:
        return 0
    some = select(File.id).where(File.job_id == job_id).order_by(File.id).limit(most)
    removed = _run(session, delete(File).where(File.id.in_(some)))
    if removed < most:
        removed += _run(session, delete(Job).where(Job.id == job_id))
    return removed


def remove_campaign(session: Session, ended_before: datetime, most: int) -> int:
    """Remove rows of the campaign that was done first, before an instant.

    Args:
        session: A writing transaction.
        ended_before: What was done later stays.
        most: How many recipients to remove at most; chunks and campaign go with the last of them.

    Returns:
        How many rows were removed; 0 when no such campaign is left.
    """
    campaign_id = session.scalar(
        select(Campaign.id)
        .where(Campaign.state.in_((State.DONE, State.CANCELLED)), Campaign.finished_at < ended_before)
        .order_by(Campaign.finished_at)
        .limit(1)
        .with_for_update()
    )
    if campaign_id is None:
        return 0
    of_campaign = CampaignRecipient.campaign_id == campaign_id
    some = select(CampaignRecipient.id).where(of_campaign).order_by(CampaignRecipient.id).limit(most)
    removed = _run(session, delete(CampaignRecipient).where(CampaignRecipient.id.in_(some)))
    if removed < most:
        removed += _run(session, delete(CampaignChunk).where(CampaignChunk.campaign_id == campaign_id))
        removed += _run(session, delete(Campaign).where(Campaign.id == campaign_id))
    return removed


def remove_mails(session: Session, ended_before: datetime, most: int) -> int:
    """Remove single mails that ended before an instant, the oldest first; return how many."""
    some = (
        select(SingleMail.id)
        .where(SingleMail.status != State.QUEUED, SingleMail.finished_at < ended_before)
        .order_by(SingleMail.id)
        .limit(most)
    )
    return _run(session, delete(SingleMail).where(SingleMail.id.in_(some)))


def remove_audit(session: Session, ended_before: datetime, most: int) -> int:
    """Remove what was written into the audit before an instant, the oldest first; return how many entries."""
    some = select(AuditEntry.id).where(AuditEntry.at < ended_before).order_by(AuditEntry.id).limit(most)
    return _run(session, delete(AuditEntry).where(AuditEntry.id.in_(some)))


def _run(session: Session, statement: Delete) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return int(cast("CursorResult[Any]", result).rowcount)
