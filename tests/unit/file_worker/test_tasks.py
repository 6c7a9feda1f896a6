"""The task: paths below the storage root in, a report out; progress is a courtesy."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections import Counter

import pytest

from services.file_worker.tasks import process as task
from shared.names import TaskName
from shared.settings import load_settings
from shared.storage import Storage
from shared.tallies import FILES, open_tallies, read_tallies


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("YARD_STORAGE_ROOT", str(tmp_path))
    load_settings.cache_clear()
    yield Storage(tmp_path)
    load_settings.cache_clear()


def test_the_task_processes_a_file_below_the_storage_root(root):
    root.place(io.BytesIO(b"A note.\n"), "jobs/1/in/note.txt")
    result = task.apply(args=("f1", "jobs/1/in/note.txt", "jobs/1/out/f1", "note.txt"))
    report = result.get()
    assert (report["file_id"], report["status"]) == ("f1", "done")
    assert root.path("jobs/1/out/f1/text.txt").read_bytes() == b"A note.\n"


def test_files_are_counted_by_kind_and_members_of_archives_among_them(root):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("note.txt", "A note.\n")
    content.seek(0)
    root.place(content, "jobs/1/in/notes.zip")
    open_tallies()
    before = Counter(read_tallies())
    task.apply(args=("f1", "jobs/1/in/notes.zip", "jobs/1/out/f1", "notes.zip")).get()
    assert Counter(read_tallies()) - before == {
        (FILES.name, ("kind=archive", "status=done")): 1,
        (FILES.name, ("kind=text", "status=done")): 1,
    }


def test_the_task_is_acknowledged_late_and_tries_a_failing_storage_three_times_more(root):
    assert (task.name, task.acks_late, task.max_retries) == (TaskName.FILE_PROCESS, True, 3)
    result = task.apply(args=("f1", "jobs/1/in/missing", "jobs/1/out/f1", "note.txt"))
    assert isinstance(result.result, FileNotFoundError)


def test_importing_the_tasks_loads_no_library_that_does_not_survive_a_fork():
    loaded = "import sys, services.file_worker.tasks; print({'pyvips', 'pypdfium2'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
