"""Merge the reports of a job into its manifest and contact sheet."""

from __future__ import annotations

from collections.abc import Sequence

from services.core.ledger.engine import Ledger
from services.core.ledger.jobs import fail_files, record_reports, the_job
from services.core.usecases.conclude_job import conclude_job
from shared.reports import FileReport, Mail
from shared.storage import Storage

NO_REPORT = "The processing of this file came back without a report."


def merge_job(ledger: Ledger, storage: Storage, reports: Sequence[FileReport], job_id: str) -> Mail | None:
    """Record all reports again, write the manifests and the contact sheet, and end the job.

    Running it again writes the same files and gives the same mail, so a crash at any point loses neither.

    Args:
        ledger: The ledger.
        storage: Where the artefacts lie and the manifests go.
        reports: A report for each file of the job; a file without one is recorded as failed.
        job_id: The job.

    Returns:
        The mail to publish, if somebody wants to be notified; its key is the same each time.

    Raises:
        UnknownId: There is no such job, or a report is of no file of it; nothing was recorded.
        OSError: The storage cannot be written; the reports are recorded, the job has not ended.
    """
    with ledger.writing() as session:
        now = ledger.clock()
        the_job(session, job_id, lock=True)
        record_reports(session, job_id, reports, now)
        fail_files(session, job_id, NO_REPORT, now)
    return conclude_job(ledger, storage, job_id)
