"""A storage root, and files processed in it as the task does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from services.file_worker.outcomes import NAME
from services.file_worker.processing import process_file
from services.file_worker.work import Progress, silent
from shared.reports import FileReport
from shared.storage import Storage


class Process(Protocol):
    """Places a file and processes it into the folder ``out``."""

    def __call__(self, name: str, content: bytes, progress: Progress = silent) -> FileReport: ...


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "storage")


@pytest.fixture
def process(storage: Storage) -> Process:
    def place_and_process(name: str, content: bytes, progress: Progress = silent) -> FileReport:
        storage.place(io.BytesIO(content), "in/file")
        report = process_file(storage, "in/file", "out", file_id="1", name=name, progress=progress)
        assert json.loads(json.dumps(report)) == report
        return report

    return place_and_process


@pytest.fixture
def left_behind(storage: Storage) -> Callable[[], list[str]]:
    """List everything in the storage but the submitted file, its stored outcome and folders."""

    def paths() -> list[str]:
        root = storage.path("in").parent
        found = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.name not in ("in", "file", NAME)]
        return sorted(found)

    return paths


@pytest.fixture
def artefact(storage: Storage) -> Callable[[FileReport, str], Path]:
    """Find an artefact of a report by its role."""

    def find(report: FileReport, role: str) -> Path:
        assert report["status"] == "done", report["reason"]
        return storage.path(next(known["path"] for known in report["artefacts"] if known["role"] == role))

    return find


@pytest.fixture
def statistics(artefact: Callable[[FileReport, str], Path]) -> Callable[[FileReport], Any]:
    """Read the artefact ``statistics`` of a report."""
    return lambda report: json.loads(artefact(report, "statistics").read_bytes())
