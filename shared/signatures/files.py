"""Recipes for the tasks of ``file_worker``."""

from __future__ import annotations

from pathlib import PurePosixPath

from celery import Signature

from shared.names import QueueName, TaskName

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff"})


def process(file_id: str, source: str, destination: str, name: str) -> Signature:
    """Process one file: find its true type, transform or extract, and report.

    The name decides only which queue the work waits in; whoever takes it looks at the content.

    Args:
        file_id: Identity of the file, which the report bears.
        source: Where it lies, relative to the storage root.
        destination: The folder for its artefacts, relative to the storage root.
        name: What the user calls it.

    Returns:
        A signature whose result is a ``shared.reports.FileReport``; a bad file is a report too.
    """
    image = PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
    queue = QueueName.FILE_IMAGES if image else QueueName.FILE_DOCUMENTS
    return Signature(
        TaskName.FILE_PROCESS.value, args=(file_id, source, destination, name), options={"queue": queue.value}
    )
