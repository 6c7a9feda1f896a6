"""Jobs and their files: what is stored about them, and the queries that change and count it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from services.core.ledger import states
from services.core.ledger.columns import may_become
from services.core.ledger.counting import count_by_state
from services.core.ledger.errors import UnknownId
from services.core.ledger.models import File, Job
from services.core.ledger.states import State
from shared.reports import FileReport


def add_job(
    session: Session, job_id: str, notify: str | None, files: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Add a job with its files, in two statements.

    Args:
        session: A writing transaction.
        job_id: A new id.
        notify: Who gets a mail when the job has ended.
        files: ``id``, ``name``, ``path``, ``bytes`` and ``sha256`` of each.
        now: When it was submitted.
    """
    session.add(Job(id=job_id, state=states.JOB.start, notify=notify, created_at=now))
    session.flush()
    common = {"job_id": job_id, "status": states.FILE.start}
    session.execute(insert(File), [{**file, **common} for file in files])


def the_job(session: Session, job_id: str, *, lock: bool = False) -> Job:
    """Find a job; ``lock`` keeps other writers off it until the transaction ends.

    Raises:
        UnknownId: There is none.
    """
    job = session.get(Job, job_id, with_for_update=lock)
    if job is None:
        raise UnknownId("job", job_id)
    return job


def require_files(session: Session, job_id: str, file_ids: set[str]) -> None:
    """Check that files belong to a job.

    Raises:
        UnknownId: One does not.
    """
    if not file_ids:
        return
    span = File.id.between(min(file_ids), max(file_ids))
    known = set(session.scalars(select(File.id).where(File.job_id == job_id, span)))
    for unknown in sorted(file_ids - known):
        raise UnknownId(f"file of job {job_id!r}", unknown, known)


def record_reports(session: Session, job_id: str, reports: Sequence[FileReport], now: datetime) -> None:
    """Store what became of files; reports that were stored before, or that come too late, change nothing.

    A report of success takes the place of a failure, never the other way round.

    Raises:
        UnknownId: The job has no such file; nothing was recorded.
    """
    require_files(session, job_id, {report["file_id"] for report in reports})
    by_status = sorted(reports, key=itemgetter("status", "file_id"))
    for status, group in groupby(by_status, key=itemgetter("status")):
        target = State(status)
        statement = update(File).where(File.id == bindparam("key"), may_become(File.status, states.FILE, target))
        session.connection().execute(statement, [_columns(report, target, now) for report in group])


def fail_files(session: Session, job_id: str, reason: str, now: datetime, file_id: str | None = None) -> None:
    """Record one file, or all of a job that are still waiting, as failed."""
    statement = (
        update(File)
        .where(File.job_id == job_id, may_become(File.status, states.FILE, State.FAILED))
        .values(status=State.FAILED, reason=reason, finished_at=now)
    )
    session.execute(statement if file_id is None else statement.where(File.id == file_id))


def end_job(session: Session, job_id: str, target: State, now: datetime, reason: str | None = None) -> Job:
    """Move a job to a state in which it has ended, unless it is in a better one already.

    Returns:
        The job as it stands afterwards.

    Raises:
        UnknownId: There is no such job.
    """
    job = the_job(session, job_id, lock=True)
    if states.JOB.allows(job.state, target):
        job.state, job.reason = target, reason
        job.finished_at = job.finished_at or now
    return job


def count_files(session: Session, job_id: str) -> dict[State, int]:
    """Count the files of a job by status; a status without files counts 0."""
    return count_by_state(session, File.status, states.FILE, File.job_id == job_id)


def files_of(
    session: Session, job_id: str, *, status: State | None = None, after: str | None = None, limit: int | None = None
) -> Sequence[File]:
    """List files of a job in the order of submission.

    Args:
        session: Any transaction.
        job_id: The job.
        status: Only files with this status.
        after: The id of the last file of the page before.
        limit: The most to list.
    """
    query = select(File).where(File.job_id == job_id, File.id > (after or "")).order_by(File.id).limit(limit)
    return session.scalars(query if status is None else query.where(File.status == status)).all()


def jobs_to_clean(session: Session, ended_before: datetime, limit: int) -> Sequence[Job]:
    """List jobs that ended before an instant and whose files are still in storage, the oldest first."""
    query = (
        select(Job)
        .where(Job.cleaned_at.is_(None), Job.finished_at < ended_before)
        .order_by(Job.finished_at)
        .limit(limit)
    )
    return session.scalars(query).all()


def _columns(report: FileReport, status: State, now: datetime) -> dict[str, Any]:
    return {
        "key": report["file_id"],
        "status": status,
        "reason": report["reason"],
        "kind": report["kind"],
        "media_type": report["media_type"],
        "bytes": report["bytes"],
        "sha256": report["sha256"],
        "seconds": report["seconds"],
        "facts": report["facts"],
        "artefacts": report["artefacts"],
        "members": report.get("members"),
        "finished_at": now,
    }
