"""Take files that were uploaded, and lie in storage by now, into the ledger as a new job."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sqlalchemy.exc import IntegrityError

from services.core.ledger.engine import Ledger
from services.core.ledger.errors import LedgerUnavailable
from services.core.ledger.ids import file_id
from services.core.ledger.jobs import add_job, files_of
from services.core.ledger.models import File, Job
from services.core.ledger.outbox import Outgoing, add_entries
from services.core.usecases.job_folder import JobFolder
from services.core.usecases.safe_names import safe_name
from services.core.usecases.submit_files import FileToProcess, SubmittedJob, check_address
from shared.storage import Digest, Storage

INCOMING = "incoming"
LEFT_BEHIND_SECONDS = 24 * 3600
"""After so long what lies there belongs to nobody: its process has died."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded."""

    path: str
    """Where it lies, relative to the storage root."""
    name: str
    """As the person named it."""
    digest: Digest


@contextmanager
def incoming_folder(storage: Storage) -> Iterator[str]:
    """Open a folder of the storage for what is being uploaded, which is removed at the end with all that is left."""
    folder = f"{INCOMING}/{secrets.token_hex(16)}"
    path = storage.path(folder)
    path.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_left_behind(storage: Storage) -> None:
    """Remove what processes have left behind that died during an upload."""
    root = storage.path(INCOMING)
    for folder in root.glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - LEFT_BEHIND_SECONDS:
                shutil.rmtree(folder)


def submit_uploads(
    ledger: Ledger,
    storage: Storage,
    job_id: str,
    uploads: Sequence[Upload],
    notify: str | None = None,
    *,
    publish: Callable[[SubmittedJob], Outgoing],
) -> SubmittedJob:
    """Move uploads to where the files of a job lie, record them as that job, and put it into the outbox.

    All of it is done, or on any error nothing, unless the database was lost while it committed; done again with the
    same id it changes nothing.

    Args:
        ledger: The ledger.
        storage: Where the uploads lie.
        job_id: The id of the job.
        uploads: At least one.
        notify: Who gets a mail when the job has ended.
        publish: Makes of the job what is to be published.

    Raises:
        InvalidSubmission: ``notify`` is no address.
        OSError: The storage cannot be written.
        LedgerUnavailable: The database is out of reach; whether the job was accepted is told by doing it again.
    """
    check_address(notify)
    with ledger.reading() as session:
        if session.get(Job, job_id) is not None:
            return SubmittedJob(job_id, tuple(_to_process(job_id, file) for file in files_of(session, job_id)))
    files = [_move(storage, job_id, at, upload) for at, upload in enumerate(uploads, start=1)]
    try:
        with ledger.writing() as session:
            now = ledger.clock()
            columns = ("id", "name", "path", "bytes", "sha256")
            add_job(session, job_id, notify, [{name: getattr(file, name) for name in columns} for file in files], now)
            submitted = SubmittedJob(job_id, tuple(_to_process(job_id, file) for file in files))
            add_entries(session, [publish(submitted)], now)
    except IntegrityError:  # another process has taken over, and made this job of these files
        raise
    except BaseException:
        if _is_unknown(ledger, job_id):
            shutil.rmtree(storage.path(JobFolder(job_id).root), ignore_errors=True)
        raise
    return submitted


def _is_unknown(ledger: Ledger, job_id: str) -> bool:
    """Tell whether a job is surely not in the ledger: a commit whose answer was lost may have put it there."""
    try:
        with ledger.reading() as session:
            return session.get(Job, job_id) is None
    except LedgerUnavailable:
        return False


def _move(storage: Storage, job_id: str, position: int, upload: Upload) -> File:
    name = file_id(job_id, position)
    path = JobFolder(job_id).submitted(name, safe_name(PurePosixPath(upload.name.replace("\\", "/")).name))
    target: Path = storage.path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    storage.path(upload.path).replace(target)
    size, sha256 = upload.digest
    return File(id=name, name=upload.name, path=path, bytes=size, sha256=sha256)


def _to_process(job_id: str, file: File) -> FileToProcess:
    return {
        "file_id": file.id,
        "source": file.path,
        "destination": JobFolder(job_id).artefacts(file.id),
        "name": file.name,
    }
