"""Write what there is to hand over of a job, end it, and say whom to tell."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from services.core.ledger.engine import Ledger
from services.core.ledger.jobs import end_job, files_of
from services.core.ledger.models import Job
from services.core.ledger.states import State
from services.core.merging.contact_sheet import Tile, contact_sheet
from services.core.merging.manifest import manifest_csv, manifest_json, with_members
from services.core.usecases.job_folder import JobFolder
from services.core.usecases.records import file_report
from shared.reports import FileReport, Mail
from shared.storage import Storage

FAILURES_IN_MAIL = 25
"""A mail is read at a glance; the manifest has them all."""


def conclude_job(ledger: Ledger, storage: Storage, job_id: str, failed_because: str | None = None) -> Mail | None:
    """Write the manifests and the contact sheet from the ledger, end the job, and describe its mail.

    The files are written outside any transaction: a contact sheet takes seconds, for which an SQLite ledger
    must not be held up.

    Args:
        ledger: The ledger, in which every file of the job has an outcome.
        storage: Where the artefacts lie and the manifests go.
        job_id: The job.
        failed_because: Why the job as a whole failed, if it did.

    Returns:
        The mail to publish, if somebody wants to be notified.

    Raises:
        UnknownId: There is no such job.
        OSError: The storage cannot be written; the job has not ended.
    """
    with ledger.reading() as session:
        reports = [file_report(file) for file in files_of(session, job_id)]
    _write(storage, job_id, reports)
    with ledger.writing() as session:
        job = end_job(session, job_id, _end(reports, failed_because), ledger.clock(), failed_because)
    return _mail(job, reports)


def _end(reports: Sequence[FileReport], failed_because: str | None) -> State:
    if failed_because is not None:
        return State.FAILED
    failed = any(report["status"] == "failed" for report in reports)
    return State.DONE_WITH_FAILURES if failed else State.DONE


def _write(storage: Storage, job_id: str, reports: Sequence[FileReport]) -> None:
    tiles = [_tile(storage, archive, report) for archive, report in with_members(reports)]
    folder = JobFolder(job_id)
    storage.place(BytesIO(manifest_json(job_id, reports)), folder.manifest_json)
    storage.place(BytesIO(manifest_csv(reports)), folder.manifest_csv)
    storage.place(BytesIO(contact_sheet(job_id, tiles)), folder.contact_sheet)


def _tile(storage: Storage, archive: FileReport | None, report: FileReport) -> Tile:
    previews = [artefact["path"] for artefact in report["artefacts"] if artefact["role"] == "preview"]
    return Tile(
        name=f"{archive['name']}/{report['name']}" if archive else report["name"],
        kind=report["kind"] or "file",
        picture=storage.path(previews[0]) if previews else None,
        failure=report["reason"] or "No reason was given." if report["status"] == "failed" else None,
    )


def _mail(job: Job, reports: Sequence[FileReport]) -> Mail | None:
    if job.notify is None or job.state is State.CANCELLED:
        return None
    failures = [
        {"name": report["name"], "reason": report["reason"]} for report in reports if report["status"] == "failed"
    ]
    more = len(failures) - FAILURES_IN_MAIL
    rest = [{"name": f"and {more} more", "reason": "see the manifest"}] if more > 0 else []
    variables = {
        "job_id": job.id,
        "done": len(reports) - len(failures),
        "failed": len(failures),
        "failures": failures[:FAILURES_IN_MAIL] + rest,
        "manifest": JobFolder(job.id).manifest_json,
        "contact_sheet": JobFolder(job.id).contact_sheet,
    }
    return {"to": job.notify, "template": "job-done", "variables": variables, "key": f"{job.id}:done"}
