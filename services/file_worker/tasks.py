"""The tasks of the ``file_worker`` service."""

from __future__ import annotations

from celery import Task

from services.file_worker.app import app
from services.file_worker.processing import process_file
from shared.names import TaskName
from shared.progress import ThrottledProgress
from shared.reports import FileReport
from shared.settings import load_settings
from shared.storage import Storage
from shared.tallies import FILES


@app.task(
    name=TaskName.FILE_PROCESS,
    bind=True,
    acks_late=True,
    autoretry_for=(OSError,),
    max_retries=3,
    retry_backoff=True,
)
def process(self: Task, file_id: str, source: str, destination: str, name: str) -> FileReport:
    """Process a submitted file; a bad one is a report with its reason, and never an exception.

    The arguments are those of :func:`services.file_worker.processing.process_file`.

    Raises:
        PathEscapes: A path leads out of the storage; nothing was written.
        OSError: The storage still failed at the third retry; nothing was left behind.
    """

    def tell(stage: str, current: int, total: int) -> None:
        self.update_state(state="PROGRESS", meta={"current": current, "total": total, "stage": stage})

    report = process_file(
        Storage(load_settings().storage),
        source,
        destination,
        file_id=file_id,
        name=name,
        progress=ThrottledProgress(tell),
    )
    for each in (report, *report.get("members", ())):
        FILES.count(each["kind"] or "unknown", each["status"])
    return report
