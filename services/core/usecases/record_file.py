"""Record what became of one file of a job."""

from __future__ import annotations

from services.core.ledger.engine import Ledger
from services.core.ledger.jobs import record_reports
from shared.reports import FileReport


def record_file(ledger: Ledger, report: FileReport, job_id: str) -> None:
    """Store the report of a file; the second time it changes nothing.

    Raises:
        UnknownId: The job has no such file.
    """
    with ledger.writing() as session:
        record_reports(session, job_id, [report], ledger.clock())
