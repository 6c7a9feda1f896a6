"""What is known of the task that runs where a line is logged: in a child process, a thread, a greenlet."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from celery._state import get_current_task

SUBJECTS = {"campaign_id": "campaign", "job_id": "job", "mail_id": "mail", "file_id": "file"}
"""The field for each argument that says whom a task works for; it may also be a key of an argument."""
FILE_OF_A_JOB = re.compile(r"(job-\d{8}-\w+)-\d{6}")
"""The id of a file begins with that of its job: ``services/core/ledger/ids.py``."""


def task_fields() -> dict[str, str]:
    """Return the fields of the task that runs here: ``task``, ``task_id``, ``workflow`` and for whom; none outside."""
    task = get_current_task()
    request = getattr(task, "request", None)
    if task is None or request is None or not request.id:
        return {}
    fields = {"task": str(task.name), "task_id": str(request.id), "workflow": str(request.root_id or request.id)}
    if queue := (request.delivery_info or {}).get("routing_key"):
        fields["queue"] = str(queue)
    return {**fields, **dict(_subjects(task, request))}


def record_fields(record: logging.LogRecord) -> dict[str, str]:
    """Return the fields of the task that a line of Celery's own speaks of: received, succeeded, failed."""
    said = record.args
    if not isinstance(said, Mapping):
        return {}
    return {field: str(said[key]) for key, field in (("name", "task"), ("id", "task_id")) if said.get(key)}


def _subjects(task: Any, request: Any) -> Iterator[tuple[str, str]]:
    names = _parameters(task.run)
    given = {**dict(zip(names, request.args or (), strict=False)), **(request.kwargs or {})}
    for source in (*(value for value in given.values() if isinstance(value, Mapping)), given):
        for argument, field in SUBJECTS.items():
            if isinstance(value := source.get(argument), str):
                yield field, value
                if found := FILE_OF_A_JOB.fullmatch(value):
                    yield "job", found[1]


@lru_cache(maxsize=1024)
def _parameters(run: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(run).parameters)
    except (TypeError, ValueError):
        return ()
