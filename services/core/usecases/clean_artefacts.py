"""Remove the files of jobs that ended long ago."""

from __future__ import annotations

import shutil
from datetime import timedelta
from time import monotonic

from services.core.ledger.engine import Ledger
from services.core.ledger.jobs import jobs_to_clean, the_job
from services.core.usecases.job_folder import JobFolder
from shared.storage import Storage

JOBS_AT_ONCE = 100
WITHIN_SECONDS = 120.0
"""Per call; what is left is for the next."""


def clean_artefacts(
    ledger: Ledger, storage: Storage, older_than: timedelta, within: float = WITHIN_SECONDS
) -> list[str]:
    """Remove submitted files and artefacts of jobs that ended long ago; the ledger keeps what became of them.

    Args:
        ledger: The ledger.
        storage: Where the files lie.
        older_than: How long ago a job must have ended.
        within: After so many seconds no further job is cleaned.

    Returns:
        The ids of the jobs that were cleaned.

    Raises:
        OSError: A file cannot be removed; the job is tried again the next time.
    """
    ends, cleaned = monotonic() + within, list[str]()
    while jobs := _next(ledger, older_than):
        for job_id in jobs:
            if monotonic() > ends:
                return cleaned
            _clean(ledger, storage, job_id)
            cleaned.append(job_id)
    return cleaned


def _next(ledger: Ledger, older_than: timedelta) -> list[str]:
    with ledger.reading() as session:
        return [job.id for job in jobs_to_clean(session, ledger.clock() - older_than, JOBS_AT_ONCE)]


def _clean(ledger: Ledger, storage: Storage, job_id: str) -> None:
    folder = storage.path(JobFolder(job_id).root)
    if folder.exists():
        shutil.rmtree(folder)
    with ledger.writing() as session:
        the_job(session, job_id, lock=True).cleaned_at = ledger.clock()
