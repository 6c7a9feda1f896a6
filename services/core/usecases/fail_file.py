"""Record that the processing of a file failed as a task."""

from __future__ import annotations

from services.core.ledger.engine import Ledger
from services.core.ledger.jobs import fail_files, require_files


def fail_file(ledger: Ledger, job_id: str, file_id: str, reason: str) -> None:
    """Mark a file as failed, unless its outcome is known.

    Args:
        ledger: The ledger.
        job_id: The job.
        file_id: The file.
        reason: Why it failed, as one sentence for a person.

    Raises:
        UnknownId: The job has no such file.
    """
    with ledger.writing() as session:
        require_files(session, job_id, {file_id})
        fail_files(session, job_id, reason, ledger.clock(), file_id)
