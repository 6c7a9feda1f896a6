"""Take files into storage and the ledger, as a new job."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from email_validator import EmailNotValidError, validate_email

from services.core.ledger.engine import Ledger
from services.core.ledger.errors import InvalidSubmission
from services.core.ledger.ids import file_id, new_id
from services.core.ledger.jobs import add_job
from services.core.ledger.outbox import Outgoing, add_entries
from services.core.usecases.job_folder import JobFolder
from services.core.usecases.safe_names import display_name, safe_name
from shared.storage import Storage


class FileToProcess(TypedDict):
    """One file that wants to be processed: the arguments of ``file.process``."""

    file_id: str
    source: str
    destination: str
    name: str


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """A job whose files are stored and recorded; they want to be processed."""

    job_id: str
    files: tuple[FileToProcess, ...]


@dataclass(frozen=True, slots=True)
class _Submission:
    path: Path
    name: str


def submit_files(
    ledger: Ledger,
    storage: Storage,
    paths: Sequence[Path],
    notify: str | None = None,
    *,
    publish: Callable[[SubmittedJob], Outgoing] | None = None,
) -> SubmittedJob:
    """Copy files into storage, record them as a job, and put what is to be published into the outbox.

    All of it is done, or on any error nothing: a job that was returned will be worked on.

    Args:
        ledger: The ledger.
        storage: Where the copies go, below ``jobs/<job id>/in``.
        paths: Files and folders; of a folder, every file below it that is not hidden.
        notify: Who gets a mail when the job has ended.
        publish: Makes of the job what is to be published.

    Raises:
        InvalidSubmission: A path does not exist, there is no file at all, or ``notify`` is no address.
        OSError: A file cannot be read, or the storage cannot be written.
        LedgerUnavailable: The database is out of reach.
    """
    check_address(notify)
    submissions = _collect(paths)
    now = ledger.clock()
    job_id = new_id("job", now)
    with _removed_on_error(storage, job_id):
        rows = [_store(storage, job_id, at, item) for at, item in enumerate(submissions, start=1)]
        with ledger.writing() as session:
            add_job(session, job_id, notify, rows, now)
            submitted = SubmittedJob(job_id, tuple(_to_process(job_id, row) for row in rows))
            if publish is not None:
                add_entries(session, [publish(submitted)], now)
    return submitted


def check_address(notify: str | None) -> None:
    """Check that somebody can be notified.

    Raises:
        InvalidSubmission: It is no address.
    """
    if notify is None:
        return
    try:
        validate_email(notify, check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidSubmission(f"{notify!r} cannot be notified: {error}") from None


def _collect(paths: Sequence[Path]) -> list[_Submission]:
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise InvalidSubmission(f"There is no file or folder {', '.join(missing)}.")
    found: dict[Path, _Submission] = {}
    for path in paths:
        for submission in _files_below(path) if path.is_dir() else [_Submission(path, path.name)]:
            found.setdefault(submission.path.resolve(), submission)
    special = [str(submission.path) for submission in found.values() if not submission.path.is_file()]
    if special:
        raise InvalidSubmission(f"Only files can be processed, not pipes or devices: {', '.join(special)}.")
    if not found:
        raise InvalidSubmission("There is no file to process; hidden files in folders do not count.")
    return list(found.values())


def _files_below(folder: Path) -> Iterator[_Submission]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in inner.parts):
            yield _Submission(path, inner.as_posix())


@contextmanager
def _removed_on_error(storage: Storage, job_id: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(storage.path(JobFolder(job_id).root), ignore_errors=True)
        raise


def _store(storage: Storage, job_id: str, position: int, submission: _Submission) -> dict[str, Any]:
    name = file_id(job_id, position)
    path = JobFolder(job_id).submitted(name, safe_name(submission.path.name))
    with submission.path.open("rb") as stream:
        digest = storage.place(stream, path)
    return {
        "id": name,
        "name": display_name(submission.name),
        "path": path,
        "bytes": digest.bytes,
        "sha256": digest.sha256,
    }


def _to_process(job_id: str, row: dict[str, Any]) -> FileToProcess:
    return {
        "file_id": row["id"],
        "source": row["path"],
        "destination": JobFolder(job_id).artefacts(row["id"]),
        "name": row["name"],
    }
