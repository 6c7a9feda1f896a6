"""Record that a job cannot be merged as it should."""

from __future__ import annotations

from services.core.ledger.engine import Ledger
from services.core.ledger.jobs import fail_files, the_job
from services.core.usecases.conclude_job import conclude_job
from shared.reports import Mail
from shared.storage import Storage


def fail_job(ledger: Ledger, storage: Storage, job_id: str, reason: str) -> Mail | None:
    """End a job as failed, with a manifest of what there is; files without an outcome count as failed.

    A file that is still being processed may turn out done later; the ledger takes that in, the manifest does not.
    A job that was merged stays as it is.

    Args:
        ledger: The ledger.
        storage: Where the artefacts lie and the manifests go.
        job_id: The job.
        reason: Why it failed, as one sentence for a person.

    Returns:
        The mail to publish, if somebody wants to be notified; its key is that of a merged job's.

    Raises:
        UnknownId: There is no such job.
        OSError: The storage cannot be written; the files are recorded as failed, the job has not ended.
    """
    with ledger.writing() as session:
        the_job(session, job_id, lock=True)
        fail_files(session, job_id, f"The job ended before this file: {reason}", ledger.clock())
    return conclude_job(ledger, storage, job_id, failed_because=reason)
