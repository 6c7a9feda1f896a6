"""Tasks that every fleet has and that call another: their messages go where that other task's go.

In stock Celery chunks, and maps that are members of a group, go to the default queue of whoever publishes them; that
may be a queue whose workers do not know the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Signature
from celery.canvas import maybe_signature

SCATTER = "fleet.scatter"
CALLED_BY: Mapping[str, str] = {
    "celery.map": "task",
    "celery.starmap": "task",
    "celery.chunks": "task",
    SCATTER: "each",
}
"""By the name of the task, the keyword argument that holds the signature of the other."""


def routed_as(task: str, kwargs: Mapping[str, Any] | None) -> str:
    """Return the name of the task whose route a message takes."""
    called = (kwargs or {}).get(CALLED_BY.get(task, ""))
    return str(first_task(called).task) if called else task


def first_task(sig: Signature | Mapping[str, Any]) -> Signature:
    """Return the task of a canvas that is called first."""
    sig = maybe_signature(sig)
    while sig.subtask_type in ("chain", "group", "chord"):
        sig = maybe_signature(sig.tasks[0])
    return sig
