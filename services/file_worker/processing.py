"""Process one submitted file: from its path to a report and its artefacts."""

from __future__ import annotations

import errno
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from services.file_worker.archives import process_archive
from services.file_worker.expansion import Member
from services.file_worker.images import process_image
from services.file_worker.json_documents import process_json
from services.file_worker.outcomes import Overtaken, keep_outcome, stored_outcome
from services.file_worker.pdf import process_pdf
from services.file_worker.rejection import ArchiveRejected, FileRejected
from services.file_worker.sniffing import sniff, wrong_extension
from services.file_worker.tables import process_table
from services.file_worker.text import process_text
from services.file_worker.work import MemberProcessor, Processor, Progress, Work, printable, silent
from shared.reports import FileKind, FileReport
from shared.storage import OutputFolder, Storage, digest

logger = logging.getLogger(__name__)

PROCESSORS: dict[FileKind, Processor] = {
    "image": process_image,
    "pdf": process_pdf,
    "text": process_text,
    "csv": process_table,
    "json": process_json,
    "archive": process_archive,
}


def process_file(
    storage: Storage,
    source: str,
    destination: str,
    *,
    file_id: str,
    name: str,
    progress: Progress = silent,
) -> FileReport:
    """Process a file and leave its artefacts in a folder, which appears whole or, for a failed one, not at all.

    A file whose artefacts are in place already is not processed again: its report is the stored one.

    Args:
        storage: Where the file lies and the artefacts go.
        source: Relative path of the file.
        destination: Relative path of the folder for its artefacts; one with those of another file is replaced.
        file_id: How the report calls the file.
        name: What the person who submitted it calls it; only its extension matters, and the content overrules it.
        progress: Told how far the work is.

    Returns:
        The report; a bad file, or one that takes longer than the soft time limit, is ``failed`` with a reason.

    Raises:
        PathEscapes: A path leads out of the storage; nothing was written.
        ValueError: The file lies in its own destination, and would be replaced by its artefacts.
        OSError: The storage failed; nothing was left behind, and doing it again may help.
    """
    path = storage.path(source)
    if path.is_relative_to(storage.path(destination)):
        raise ValueError(f"{source!r} lies in its own destination {destination!r}.")
    stored = partial(stored_outcome, storage, source, destination, file_id=file_id, name=name)
    if earlier := stored():
        return earlier
    report = _new_report(file_id, name)
    started = time.monotonic()
    try:
        with _recorded(report), storage.writing(destination) as output:
            _fill(report, path, output, progress, partial(_process_member, file_id, output))
            keep_outcome(output, {**report, "seconds": _seconds_since(started)}, in_place=stored)
    except SoftTimeLimitExceeded:
        _fail(report, "It took longer than its time limit.")
    except (Overtaken, OSError):  # whoever is faster takes the folder in the making away
        if overtaker := stored():
            return overtaker
        raise
    return report


def _process_member(file_id: str, output: OutputFolder, number: int, member: Member) -> FileReport:
    report = _new_report(f"{file_id}.{number}", printable(member.name))
    with _recorded(report), tempfile.TemporaryDirectory(dir=output.folder) as folder:
        expanded = Path(folder, "member")
        member.expand(expanded)
        with output.below(f"members/{number:04}") as own:
            _fill(report, expanded, own, silent, _refuse_nested)
    return report


def _refuse_nested(_number: int, _member: Member) -> FileReport:
    raise FileRejected("It is an archive inside an archive, and those are not expanded.")


def _fill(
    report: FileReport,
    path: Path,
    output: OutputFolder,
    progress: Progress,
    process_member: MemberProcessor,
) -> None:
    report["bytes"], report["sha256"] = digest(path)
    sniffed = sniff(path, report["name"])
    report["kind"], report["media_type"] = sniffed.kind, sniffed.media_type
    if named_as := wrong_extension(report["name"], sniffed.type):
        report["facts"]["named_as"] = named_as
    findings = PROCESSORS[sniffed.kind](
        Work(
            path=path,
            bytes=report["bytes"],
            sniffed=sniffed,
            output=output,
            progress=progress,
            process_member=process_member,
        )
    )
    report["facts"] |= findings.facts
    report["artefacts"] = output.artefacts
    if findings.members is not None:
        report["members"] = list(findings.members)
    report["status"] = "done"


@contextmanager
def _recorded(report: FileReport) -> Iterator[None]:
    """Turn every failure that is the file's own fault into its report, and let the others pass."""
    started = time.monotonic()
    try:
        yield
    except FileRejected as rejection:
        _fail(report, rejection.reason)
        if rejection.members:
            report["members"] = rejection.members
    except (SoftTimeLimitExceeded, ArchiveRejected, MemoryError, Overtaken):
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise  # the system's word on the storage; a library's on a damaged file has no number, or is a bad seek
        _fail(report, "It could not be read; it is probably damaged.")
    except Exception:  # a damaged or hostile file makes a parser raise anything
        logger.exception("File %s made its processor fail in an unexpected way", report["file_id"])
        _fail(report, "It could not be read; it is probably damaged.")
    finally:
        report["seconds"] = _seconds_since(started)


def _seconds_since(started: float) -> float:
    return round(time.monotonic() - started, 3)


def _new_report(file_id: str, name: str) -> FileReport:
    return FileReport(
        file_id=file_id,
        name=name,
        status="failed",
        reason=None,
        kind=None,
        media_type=None,
        bytes=0,
        sha256=None,
        seconds=0.0,
        facts={},
        artefacts=[],
    )


def _fail(report: FileReport, reason: str) -> None:
    report["status"], report["reason"], report["artefacts"] = "failed", reason, []
    report.pop("members", None)
