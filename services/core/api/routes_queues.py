"""Queues of all brokers: seen, paused, resumed, purged, peeked at."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.encoders import jsonable_encoder
from starlette.responses import JSONResponse, Response

from services.core.api.access import Errand, does, may
from services.core.api.context import context_of
from services.core.api.roles import Act
from services.core.api.samples import Fresh
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


QUEUES: dict[int | str, dict[str, Any]] = {
    200: {"description": "How they stand", "content": {"application/json": {"example": {
        "entries": [{
            "name": "email.bulk", "broker": "batch", "service": "email_worker", "up": True, "ready": 1204,
            "unacknowledged": 8, "delayed": 0, "by_priority": {"0": 1204}, "oldest_seconds": 31.5, "consumers": 4,
            "paused": {"at": 1795257000.5, "by": "on call"}, "pauses_known": True,
        }],
        "brokers": {"default": True, "critical": True, "batch": True},
        "sampled_at": "2026-11-21T09:30:00.125000+00:00", "every_seconds": 2.0, "after": None,
    }}}},
}  # fmt: skip


@router.get("/queues", responses=QUEUES, summary="Tell how every queue stands")
async def list_(
    request: Request,
    caller: Annotated[KeyEntry, may(Act.SEE)],  # noqa: ARG001
    fresh: Fresh = False,
) -> Response:
    """Tell what every broker said at `sampled_at`, or later; all who ask share an answer for `every_seconds`.

    What could not be asked is null, and its queue has `up: false`.
    """
    sample = await context_of(request).samples.take("queues", _all, fresh=fresh)
    return JSONResponse({**sample.value, **sample.told(), "after": None})


@router.get("/queues/{name}/peek", summary="Show what goes out next of a queue")
async def peek(
    request: Request,
    name: str,
    caller: Annotated[KeyEntry, may(Act.PEEK_QUEUE)],  # noqa: ARG001
    limit: Annotated[int, Query(ge=1, le=MOST_PEEKED)] = 10,
) -> dict[str, Any]:
    """Show waiting tasks with their arguments; none is delivered by it, nor changes its place."""
    context = context_of(request)
    found = await context.asking.run(partial(peek_queue, app, context.ledger, name, limit))
    told: dict[str, Any] = jsonable_encoder(asdict(found))
    return told


@router.post("/queues/{name}/pause", summary="Pause a queue")
async def pause(name: str, errand: Annotated[Errand, does(Act.PAUSE_QUEUE)]) -> Response:
    """Have all workers take nothing more from it, also those that start later; what they hold ends."""

    def act(_: str) -> Outcome:
        return 200, {"queue": name, "paused": True, "changed": pause_queue(app, name, errand.caller.label)}

    return await errand.run_asking(known_queue(app, name), None, act)


@router.post("/queues/{name}/resume", summary="Resume a queue")
async def resume(name: str, errand: Annotated[Errand, does(Act.RESUME_QUEUE)]) -> Response:
    """Have all workers take it up again."""

    def act(_: str) -> Outcome:
        return 200, {"queue": name, "paused": False, "changed": resume_queue(app, name)}

    return await errand.run_asking(known_queue(app, name), None, act)


@router.post("/queues/{name}/purge", summary="Purge a queue")
async def purge(name: str, errand: Annotated[Errand, does(Act.PURGE_QUEUE)]) -> Response:
    """Remove every ready message for good, and tell how many there were."""

    def act(_: str) -> Outcome:
        return 200, {"queue": name, "removed": purge_queue(app, errand.context.ledger, name)}

    return await errand.run_asking(known_queue(app, name), None, act, once=True)


def _all() -> dict[str, Any]:
    views = list_queues(app)
    return {"entries": jsonable_encoder([asdict(view) for view in views]), "brokers": {v.broker: v.up for v in views}}
