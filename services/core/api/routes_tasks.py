"""Tasks and workflows of the history: searched, shown, revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from services.core.api.access import Errand, does, may
from services.core.api.context import context_of
from services.core.api.events import follow
from services.core.api.hiding import plain
from services.core.api.pages import Limit
from services.core.api.roles import ROLES, Act
from services.core.app import app
from services.core.fleet_view.tasks import list_tasks, revoke_tasks, status_of_history, the_task
from services.core.fleet_view.workflows import list_workflows, the_workflow
from services.core.history.search import TaskFilter
from services.core.history.sightings import TaskState
from services.core.ledger.errors import InvalidSubmission
from services.core.usecases.acting import Outcome
from services.core.usecases.api_keys import KeyEntry

router = APIRouter(prefix="/api/v1", tags=["tasks"])
RECENT = timedelta(days=1)
LEFT_OUT: dict[str, Any] = dict.fromkeys(("args", "kwargs", "result", "traceback", "next_steps"))
TaskId = Annotated[str, Field(max_length=255)]


class Revoke(BaseModel):
    """How a task is revoked."""

    model_config = ConfigDict(extra="forbid")

    terminate: bool = Field(default=False, description="Also end it if it runs, where the pool can: prefork.")


@router.get("/tasks", summary="Search the history of tasks, the newest first")
def list_(
    *,
    request: Request,
    caller: Annotated[KeyEntry, may(Act.SEE)],
    state: Annotated[list[TaskState] | None, Query(description="Only tasks in one of these.")] = None,
    name: str | None = None,
    queue: str | None = None,
    broker: str | None = None,
    worker: str | None = None,
    workflow: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    text: Annotated[str | None, Query(max_length=200, description="Operators search arguments, too.")] = None,
    brief: Annotated[bool, Query(description="Without arguments, results and tracebacks, which are large.")] = False,
    after: Annotated[str | None, Query(max_length=400)] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """List tasks; arguments, results and exceptions are told to operators alone."""
    if text is not None and caller.role not in ROLES[Act.READ_TASK]:  # which would tell what it finds by
        raise InvalidSubmission("Only an operator may search by text, which looks into arguments; search by name.")
    which = TaskFilter(
        states=tuple(state or ()), name=name, queue=queue, broker=broker, worker=worker, workflow=workflow,
        since=aware(since), until=aware(until), text=text,
    )  # fmt: skip
    ledger = context_of(request).ledger
    found = list_tasks(ledger, which, cursor=after, limit=limit)
    status = status_of_history(ledger)
    history = {"at_work": status.at_work, "dropped": status.dropped}
    tasks = [replace(task, **LEFT_OUT) if brief else task for task in found.tasks]
    return {"entries": [plain(caller, task) for task in tasks], "after": found.after, "history": history}


@router.get("/tasks/{task_id}", summary="Tell what is known of a task")
def show(request: Request, task_id: TaskId, caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:
    """Tell its state, its times, its place in a workflow; arguments and errors to operators alone."""
    return plain(caller, the_task(context_of(request).ledger, task_id))


@router.post("/tasks/{task_id}/revoke", summary="Revoke a task")
async def revoke(task_id: TaskId, given: Revoke, errand: Annotated[Errand, does(Act.REVOKE_TASK)]) -> Response:
    """Have no worker run it, wherever it waits."""

    def act(_: str) -> Outcome:
        revoke_tasks(app, [task_id], terminate=given.terminate)
        return 200, {"task": task_id, "revoked": True, "terminate": given.terminate}

    return await errand.run_asking(task_id, given.model_dump(), act)


@router.get("/workflows", summary="List workflows, the newest first")
def workflows(
    request: Request,
    caller: Annotated[KeyEntry, may(Act.SEE)],  # noqa: ARG001
    since: Annotated[datetime | None, Query(description="First heard of since; a day ago without it.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> dict[str, Any]:
    """List workflows of more than one task, with how many of theirs are under way and failed."""
    ledger = context_of(request).ledger
    found = list_workflows(ledger, aware(since) or ledger.clock() - RECENT, limit)
    return {"entries": [each._asdict() for each in found], "after": None}


@router.get("/workflows/{task_id}", summary="Draw the workflow of a task")
def workflow(request: Request, task_id: TaskId, caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:
    """Tell its steps, each with broker and state, and which follows from which; any of its tasks leads to it."""
    return _workflow(request, task_id, caller)


@router.get("/workflows/{task_id}/events", summary="Follow a workflow", response_class=StreamingResponse)
async def workflow_events(request: Request, task_id: TaskId, caller: Annotated[KeyEntry, may(Act.SEE)]) -> Response:
    """Send all of it at once and at each change, without an end, for its tasks may be replayed: server-sent events.

    A large one is told less often than a small one.
    """
    return await follow(request, caller, partial(run_in_threadpool, _workflow, request, task_id, caller))


def _workflow(request: Request, task_id: str, caller: KeyEntry) -> dict[str, Any]:
    return plain(caller, the_workflow(app, context_of(request).ledger, task_id))


def aware(time: datetime | None) -> datetime | None:
    """Take a time without a zone for one in this machine's."""
    return time if time is None or time.tzinfo else time.astimezone()
