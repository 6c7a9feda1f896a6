"""Queues of all brokers: seen, paused, resumed, purged, peeked at."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.encoders import jsonable_encoder
from starlette.responses import Response

from services.core.api.access import Errand, does, may
from services.core.api.context import context_of
from services.core.api.roles import Act
from services.core.app import app
from services.core.fleet_view.queues import (
    MOST_PEEKED,
    known_queue,
    list_queues,
    pause_queue,
    peek_queue,
    purge_queue,
    resume_queue,
)
from services.core.usecases.acting import Outcome
from services.core.usecases.api_keys import KeyEntry

router = APIRouter(prefix="/api/v1", tags=["queues"])


@router.get("/queues", summary="Tell how every queue stands")
def list_(caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:  # noqa: ARG001
    """Ask every broker now; what could not be asked is null, and its queue has `up: false`."""
    views = list_queues(app)
    up = {view.broker: view.up for view in views}
    return {"entries": [jsonable_encoder(asdict(view)) for view in views], "brokers": up, "after": None}


@router.get("/queues/{name}/peek", summary="Show what goes out next of a queue")
def peek(
    request: Request,
    name: str,
    caller: Annotated[KeyEntry, may(Act.PEEK_QUEUE)],  # noqa: ARG001
    limit: Annotated[int, Query(ge=1, le=MOST_PEEKED)] = 10,
) -> dict[str, Any]:
    """Show waiting tasks with their arguments; none is delivered by it, nor changes its place."""
    told: dict[str, Any] = jsonable_encoder(asdict(peek_queue(app, context_of(request).ledger, name, limit)))
    return told


@router.post("/queues/{name}/pause", summary="Pause a queue")
def pause(name: str, errand: Annotated[Errand, does(Act.PAUSE_QUEUE)]) -> Response:
    """Have all workers take nothing more from it, also those that start later; what they hold ends."""

    def act(_: str) -> Outcome:
        return 200, {"queue": name, "paused": True, "changed": pause_queue(app, name, errand.caller.label)}

    return errand.run(known_queue(app, name), None, act)


@router.post("/queues/{name}/resume", summary="Resume a queue")
def resume(name: str, errand: Annotated[Errand, does(Act.RESUME_QUEUE)]) -> Response:
    """Have all workers take it up again."""

    def act(_: str) -> Outcome:
        return 200, {"queue": name, "paused": False, "changed": resume_queue(app, name)}

    return errand.run(known_queue(app, name), None, act)


@router.post("/queues/{name}/purge", summary="Purge a queue")
def purge(name: str, errand: Annotated[Errand, does(Act.PURGE_QUEUE)]) -> Response:
    """Remove every ready message for good, and tell how many there were."""

    def act(_: str) -> Outcome:
        return 200, {"queue": name, "removed": purge_queue(app, errand.context.ledger, name)}

    return errand.run(known_queue(app, name), None, act)
