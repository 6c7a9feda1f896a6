"""Cancel a job."""

from __future__ import annotations

from collections.abc import Sequence

from services.core.ledger import states
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import WrongState
from services.core.ledger.jobs import end_job, fail_files, files_of, the_job
from services.core.ledger.outbox import remove_of
from services.core.ledger.states import State

REASON = "The job was cancelled before this file was processed."


def cancel_job(ledger: Ledger, job_id: str) -> Sequence[str]:
    """Call off a job: files without an outcome have failed, and nobody gets a mail.

    A file that is processed all the same, because its task was running, turns out done later; the job stays cancelled.

    Returns:
        The ids of the files without an outcome, which are those of their tasks: these want to be revoked.

    Raises:
        UnknownId: There is no such job.
        WrongState: It has ended; nothing was changed.
    """
    with ledger.writing() as session:
        job = the_job(session, job_id, lock=True)
        if job.state is State.CANCELLED:
            return ()
        if not states.JOB.allows(job.state, State.CANCELLED):
            raise WrongState("job", job_id, job.state, "cancelled")
        waiting = [file.id for file in files_of(session, job_id, status=State.WAITING)]
        now = ledger.clock()
        remove_of(session, job_id)
        fail_files(session, job_id, REASON, now)
        end_job(session, job_id, State.CANCELLED, now, "It was cancelled.")
        return waiting
