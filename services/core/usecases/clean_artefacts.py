"""Remove the files of jobs that ended long ago."""

from __future__ import annotations

import shutil
from datetime import timedelta

from services.core.ledger.engine import Ledger
from services.core.ledger.jobs import jobs_to_clean, the_job
from services.core.usecases.job_folder import JobFolder
from shared.storage import Storage

MOST_JOBS = 100
"""Per call, so that none takes long; what is left is for the next."""


def clean_artefacts(ledger: Ledger, storage: Storage, older_than: timedelta) -> list[str]:
    """Remove submitted files and artefacts of jobs that ended long ago; the ledger keeps what became of them.

    Args:
        ledger: The ledger.
        storage: Where the files lie.
        older_than: How long ago a job must have ended.

    Returns:
        The ids of the jobs that were cleaned, at most 100.

    Raises:
        OSError: A file cannot be removed; the job is tried again the next time.
    """
    with ledger.reading() as session:
        jobs = [job.id for job in jobs_to_clean(session, ledger.clock() - older_than, MOST_JOBS)]
    for job_id in jobs:
        folder = storage.path(JobFolder(job_id).root)
        if folder.exists():
            shutil.rmtree(folder)
        with ledger.writing() as session:
            the_job(session, job_id, lock=True).cleaned_at = ledger.clock()
    return jobs
