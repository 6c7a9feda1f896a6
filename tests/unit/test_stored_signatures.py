"""Each task that a stored release calls, as a step, a callback or an errback, still takes what it was given."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from services.core.app import app as core
from services.email_worker.app import app as email_worker
from services.file_worker.app import app as file_worker
from shared.names import TaskName
from tests.releases import reading

RELEASES = sorted(path.parent for path in Path(reading.__file__).parent.glob("*/expected.json"))
APPS = {"core": core, "email": email_worker, "file": file_worker}


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_tasks_take_the_arguments_that_a_stored_release_gives_them(release):
    called = set()
    for signature in reading.signatures(release):
        name = signature["task"]
        if name.startswith("celery."):
            continue
        app = APPS[name.partition(".")[0]]
        app.loader.import_default_modules()
        inspect.signature(app.tasks[name].run).bind_partial(*signature["args"], **signature["kwargs"])
        called.add(name)
    workflows = {
        TaskName.CORE_RECORD_FILE, TaskName.CORE_FAIL_FILE, TaskName.CORE_MERGE_JOB, TaskName.CORE_FAIL_JOB,
        TaskName.CORE_RECORD_MAIL, TaskName.CORE_FAIL_MAIL, TaskName.CORE_RECORD_CHUNK, TaskName.CORE_FAIL_CHUNK,
        TaskName.EMAIL_SEND, TaskName.EMAIL_SEND_CHUNK, TaskName.FILE_PROCESS,
    }  # fmt: skip
    assert {str(name) for name in workflows} <= called
