"""List the files of a job or the recipients of a campaign, page by page."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.orm import Session

from services.core.ledger.campaigns import recipients_of, the_campaign
from services.core.ledger.engine import Ledger
from services.core.ledger.jobs import files_of, the_job
from services.core.ledger.states import State
from services.core.usecases.records import FileEntry, Page, RecipientEntry, file_entry, recipient_entry

NOT_SENT = frozenset({State.INVALID, State.FAILED, State.UNKNOWN})
"""What a recipient can be whose mail did not, or not surely, go out."""


def list_files(
    ledger: Ledger, job_id: str, *, status: State | None = None, after: str | None = None, limit: int
) -> Page[FileEntry, str]:
    """List files of a job in the order of submission.

    Args:
        ledger: The ledger.
        job_id: The job.
        status: Only files with this status.
        after: Where the page before ended; its ``after``.
        limit: The most to list.

    Raises:
        UnknownId: There is no such job.
    """
    with ledger.reading() as session:
        the_job(session, job_id)
        return file_page(session, job_id, status=status, after=after, limit=limit)


def list_recipients(
    ledger: Ledger,
    campaign_id: str,
    *,
    statuses: Collection[State] = (),
    text: str | None = None,
    after: int | None = None,
    limit: int,
) -> Page[RecipientEntry, int]:
    """List recipients of a campaign in the order in which they were added.

    Args:
        ledger: The ledger.
        campaign_id: The campaign.
        statuses: Only recipients with one of these, such as ``NOT_SENT``; all without any.
        text: Only recipients whose address or reason has this in it, in whatever case.
        after: Where the page before ended; its ``after``.
        limit: The most to list.

    Raises:
        UnknownId: There is no such campaign.
    """
    with ledger.reading() as session:
        the_campaign(session, campaign_id)
        return recipient_page(session, campaign_id, statuses=statuses, text=text, after=after, limit=limit)


def file_page(
    session: Session, job_id: str, *, status: State | None = None, after: str | None = None, limit: int
) -> Page[FileEntry, str]:
    """Read one page of files; see ``list_files``."""
    files = files_of(session, job_id, status=status, after=after, limit=limit + 1)
    page = tuple(file_entry(file) for file in files[:limit])
    return Page(page, page[-1].file_id if page and len(files) > limit else None)


def recipient_page(
    session: Session,
    campaign_id: str,
    *,
    statuses: Collection[State] = (),
    text: str | None = None,
    after: int | None = None,
    limit: int,
) -> Page[RecipientEntry, int]:
    """Read one page of recipients; see ``list_recipients``."""
    recipients = recipients_of(session, campaign_id, statuses=statuses, text=text, after=after, limit=limit + 1)
    page = tuple(recipient_entry(recipient) for recipient in recipients[:limit])
    return Page(page, page[-1].recipient_id if page and len(recipients) > limit else None)
