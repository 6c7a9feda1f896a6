"""Process archives: each member like a file of its own, one at a time."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator

from services.file_worker.expansion import Budget, Member
from services.file_worker.rejection import ArchiveRejected, FileRejected
from services.file_worker.sniffing import ZIP
from services.file_worker.tar_members import tar_members
from services.file_worker.work import Findings, Work
from services.file_worker.zip_members import zip_members
from shared.reports import FileReport

LISTED = ("name", "status", "reason", "kind", "media_type", "bytes", "sha256")


def process_archive(work: Work) -> Findings:
    """Process the members of an archive, and list them in the artefact ``contents``.

    At most one member is expanded on the disk at a time.  A bad member is a report with its reason, beside the
    others.

    Raises:
        FileRejected: The archive is damaged, a bomb, empty, or has too many members; or none could be processed,
            and then the reports of its members come along.
    """
    try:
        reports = [_report_member(work, *numbered) for numbered in enumerate(_members(work), start=1)]
    except ArchiveRejected as error:
        raise FileRejected(error.reason) from error
    except (zipfile.BadZipFile, NotImplementedError, UnicodeError) as error:
        raise FileRejected("The archive is damaged or cut short.") from error
    return _summarise(work, reports)


def _report_member(work: Work, number: int, member: Member) -> FileReport:
    work.progress("processing members", member.done, member.of)
    return work.process_member(number, member)


def _members(work: Work) -> Iterator[Member]:
    budget = Budget(work.bytes)
    if work.sniffed.type is ZIP:
        return zip_members(work.path, budget)
    return tar_members(work.path, work.sniffed.media_type, budget)


def _summarise(work: Work, reports: list[FileReport]) -> Findings:
    if not reports:
        raise FileRejected("The archive has no files in it.")
    failed = sum(report["status"] == "failed" for report in reports)
    if failed == len(reports):
        raise FileRejected(f"None of the {failed} files in the archive could be processed.", reports)
    contents = [{key: report[key] for key in LISTED} for report in reports]  # type: ignore[literal-required]
    work.output.write("contents", "contents.json", "application/json", json.dumps(contents, indent=2).encode())
    facts = {"members": len(reports), "failed_members": failed}
    return Findings(facts, reports)
