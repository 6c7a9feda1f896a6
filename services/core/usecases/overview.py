"""Tell what an id is, and everything about it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.ledger.campaigns import count_recipients, the_campaign
from services.core.ledger.chunks import count_chunks
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import UnknownId
from services.core.ledger.jobs import count_files, the_job
from services.core.ledger.mails import the_mail
from services.core.ledger.models import Campaign, Job, SingleMail
from services.core.ledger.states import State
from services.core.usecases.job_folder import JobFolder
from services.core.usecases.list_entries import NOT_SENT, file_page, recipient_page
from services.core.usecases.records import CampaignOverview, JobOverview, MailOverview, Progress

REMEMBERED = 500
"""How many of the latest ids of each kind are compared with one that is unknown."""

Overview = JobOverview | CampaignOverview | MailOverview


def overview(ledger: Ledger, wanted: str, *, limit: int = 100) -> Overview:
    """Find the job, campaign or mail with an id, and tell how it stands at one instant.

    Counts are made by the database, so this is quick for a campaign of a million recipients too.

    Args:
        ledger: The ledger.
        wanted: An id of any kind.
        limit: How many files or recipients to include; 0 for counts only, ``list_files`` and
            ``list_recipients`` for the rest.

    Raises:
        UnknownId: Nothing has this id; the message names the closest one.
    """
    with ledger.reading() as session:
        if job := session.get(Job, wanted):
            return _job(session, job, limit)
        if campaign := session.get(Campaign, wanted):
            return _campaign(session, campaign, limit)
        if mail := session.get(SingleMail, wanted):
            return _mail(mail)
        raise UnknownId("job, campaign or mail", wanted, _latest_ids(session))


def job_overview(ledger: Ledger, job_id: str, *, limit: int = 100) -> JobOverview:
    """Tell how a job stands; see ``overview``."""
    with ledger.reading() as session:
        return _job(session, the_job(session, job_id), limit)


def campaign_overview(ledger: Ledger, campaign_id: str, *, limit: int = 100) -> CampaignOverview:
    """Tell how a campaign stands; see ``overview``."""
    with ledger.reading() as session:
        return _campaign(session, the_campaign(session, campaign_id), limit)


def mail_overview(ledger: Ledger, mail_id: str) -> MailOverview:
    """Tell how a mail stands; see ``overview``."""
    with ledger.reading() as session:
        return _mail(the_mail(session, mail_id))


def _job(session: Session, job: Job, limit: int) -> JobOverview:
    counts = count_files(session, job.id)
    total = sum(counts.values())
    there = job.finished_at is not None and job.cleaned_at is None
    return JobOverview(
        id=job.id,
        state=job.state,
        reason=job.reason,
        notify=job.notify,
        created_at=job.created_at,
        finished_at=job.finished_at,
        cleaned_at=job.cleaned_at,
        counts=counts,
        progress=Progress(total - counts[State.WAITING], total),
        files=file_page(session, job.id, limit=limit),
        outputs=JobFolder(job.id).outputs if there else (),
    )


def _campaign(session: Session, campaign: Campaign, limit: int) -> CampaignOverview:
    counts = count_recipients(session, campaign.id)
    total = sum(counts.values())
    return CampaignOverview(
        id=campaign.id,
        template=campaign.template,
        state=campaign.state,
        list_name=campaign.list_name,
        duplicates=campaign.duplicates,
        without_address=campaign.without_address,
        created_at=campaign.created_at,
        finished_at=campaign.finished_at,
        counts=counts,
        chunks=count_chunks(session, campaign.id),
        progress=Progress(total - counts[State.PENDING], total),
        failures=recipient_page(session, campaign.id, statuses=NOT_SENT, limit=limit),
        recipients=recipient_page(session, campaign.id, limit=limit),
    )


def _mail(mail: SingleMail) -> MailOverview:
    return MailOverview(
        id=mail.id,
        to=mail.to,
        template=mail.template,
        status=mail.status,
        reason=mail.reason,
        message_id=mail.message_id,
        created_at=mail.created_at,
        finished_at=mail.finished_at,
    )


def _latest_ids(session: Session) -> list[str]:
    # The ids of jobs and mails sort by age; those of campaigns are chosen by people.
    return [
        *session.scalars(select(Job.id).order_by(Job.id.desc()).limit(REMEMBERED)),
        *session.scalars(select(SingleMail.id).order_by(SingleMail.id.desc()).limit(REMEMBERED)),
        *session.scalars(select(Campaign.id).order_by(Campaign.created_at.desc()).limit(REMEMBERED)),
    ]
