"""Tells what became of a task from the result store, and how far it is: its state, its progress, its result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import typer
from celery import states
from celery.exceptions import BackendGetMetaError

from services.core.app import app
from services.core.cli import exit_codes
from services.core.cli.progress import Show, Step, shown, silent, watch
from services.core.cli.tables import print_table
from services.core.ledger.engine import Ledger
from services.core.ledger.states import State
from services.core.usecases.list_entries import list_files
from shared.errors import ResultStoreOutOfReach

LOOKED_AT = 8
"""How many of the waiting files of a job are asked about: no more run at once on one machine."""
SHOWN = 2
LONGEST_RESULT = 500
"""Characters of a result that are printed; ``--json`` prints it whole."""


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as the result store knows it."""

    id: str
    state: str
    result: Any
    """What it returned, or what it has said of its progress."""
    reason: str | None
    """Why it failed."""
    kind: str = "task"

    @property
    def progress(self) -> tuple[int, int]:
        """How far it says that it is: ``current`` and ``total``, both 0 when it says nothing."""
        told = self.result if isinstance(self.result, dict) and self.state not in states.READY_STATES else {}
        current, total = told.get("current"), told.get("total")
        return (current, total) if isinstance(current, int) and isinstance(total, int) else (0, 0)

    @property
    def stage(self) -> str:
        """What it says that it does."""
        return str(self.result.get("stage", "")) if isinstance(self.result, dict) and any(self.progress) else ""


def is_known(task_id: str, *, may_come: bool) -> bool:
    """Tell whether the result store knows a task.

    Args:
        task_id: Its id.
        may_come: Whether an id of Celery's own form counts, for its task may not have begun.

    Raises:
        ResultStoreOutOfReach: The result store does not answer.
    """
    return view_of(task_id).state != states.PENDING or (may_come and _is_uuid(task_id))


def view_of(task_id: str) -> TaskView:
    """Ask the result store for a task.

    Raises:
        ResultStoreOutOfReach: It does not answer.
        ResultUnavailable: The result is large, and this process does not see the storage that it lies in.
    """
    with _asking():
        meta = app.backend.get_task_meta(task_id)
    state, result = meta["status"], meta["result"]
    failed = state in states.EXCEPTION_STATES and state != states.RETRY
    reason = f"{type(result).__name__}: {result}" if failed else None
    return TaskView(task_id, state, None if isinstance(result, BaseException) else result, reason)


def follow_task(task_id: str, *, wait: bool, timeout: float | None, as_json: bool) -> int:
    """Print what became of a task, at once or when it has ended; return the exit code for the command.

    Args:
        task_id: Its id.
        wait: Whether to follow it to its end, with its progress.
        timeout: Seconds to follow it; without limit when ``None``.
        as_json: Print one JSON document instead of progress and a table.

    Raises:
        ResultStoreOutOfReach: The result store does not answer.
    """
    ended = not wait or _watch(task_id, timeout, silent if as_json else shown())
    view = view_of(task_id)
    if as_json:
        typer.echo(json.dumps(asdict(view), default=str, indent=2))
    else:
        told = view.reason or json.dumps(view.result, default=str, ensure_ascii=False)
        cut = f"{told[:LONGEST_RESULT]}… ({len(told)} characters; --json prints all)"
        print_table(
            ("outcome", "task", "result, or why not"),
            [(view.state, view.id, cut if len(told) > LONGEST_RESULT else told)],
        )
    if not ended:
        return exit_codes.TIMED_OUT
    return exit_codes.FAILED if view.state in states.PROPAGATE_STATES else exit_codes.OK


def under_way_in(ledger: Ledger, job_id: str) -> str:
    """Say of the first files of a job that are under way how far they are; nothing when nobody can tell."""
    waiting = list_files(ledger, job_id, status=State.WAITING, limit=LOOKED_AT).entries
    try:
        views = [(file.name, view_of(file.file_id)) for file in waiting]
    except ResultStoreOutOfReach:
        return ""
    told = [f"{name}: {view.stage} {view.progress[0]} of {view.progress[1]}" for name, view in views if view.stage]
    return ", ".join(told[:SHOWN])


def _watch(task_id: str, timeout: float | None, show: Show) -> bool:
    def look() -> tuple[Step, bool]:
        view = view_of(task_id)
        return Step(view.id, view.state, *view.progress, view.stage), view.state in states.READY_STATES

    return watch(look, timeout, show)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except BackendGetMetaError as error:
        raise ResultStoreOutOfReach(f"{error}. `yard check` tells what is missing.") from error
