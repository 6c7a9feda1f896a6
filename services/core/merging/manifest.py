"""The manifest of a job: what became of each file, for programs and for spreadsheets."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO

from shared.reports import FileReport

COLUMNS = (
    "file_id",
    "archive",
    "name",
    "status",
    "reason",
    "kind",
    "media_type",
    "bytes",
    "sha256",
    "seconds",
    "artefacts",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell (https://owasp.org/www-community/attacks/CSV_Injection)."""


def manifest_json(job_id: str, reports: Sequence[FileReport]) -> bytes:
    """Write the complete manifest; the same reports always give the same bytes.

    Args:
        job_id: The job.
        reports: A report for each file, in the order of submission.
    """
    counts = {status: sum(report["status"] == status for report in reports) for status in ("done", "failed")}
    manifest = {"job_id": job_id, "counts": counts, "files": list(reports)}
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()


def manifest_csv(reports: Sequence[FileReport]) -> bytes:
    """Write one line per file and per member of an archive.

    ``archive`` is the id of the archive that a member is from; ``artefacts`` are paths relative to the storage
    root, with a space between them.  Text that a spreadsheet would run as a formula has a ``'`` before it.

    Args:
        reports: A report for each file, in the order of submission.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for archive, report in with_members(reports):
        writer.writerow(_inert(cell) for cell in _cells(archive, report))
    return text.getvalue().encode()


def with_members(
    reports: Sequence[FileReport], archive: FileReport | None = None
) -> Iterator[tuple[FileReport | None, FileReport]]:
    """Walk through reports, with those of the members of an archive after its own.

    Yields:
        The report of the archive that it is from, if it is from one, and the report.
    """
    for report in reports:
        yield archive, report
        yield from with_members(report.get("members", ()), report)


def _cells(archive: FileReport | None, report: FileReport) -> list[object]:
    return [
        report["file_id"],
        archive["file_id"] if archive else None,
        report["name"],
        report["status"],
        report["reason"],
        report["kind"],
        report["media_type"],
        report["bytes"],
        report["sha256"],
        round(report["seconds"], 3),
        " ".join(artefact["path"] for artefact in report["artefacts"]),
    ]


def _inert(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell
