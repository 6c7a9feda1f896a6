"""Workers of all brokers: seen, drained, taken up again."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.core.api.access import Errand, does, may
from services.core.api.context import context_of
from services.core.api.hiding import plain
from services.core.api.roles import Act
from services.core.api.samples import Fresh
from services.core.app import app
from services.core.fleet_view.queues import known_queue
from services.core.fleet_view.workers import drain_worker, list_workers, undrain_worker
from services.core.usecases.acting import Outcome
from services.core.usecases.api_keys import KeyEntry

router = APIRouter(prefix="/api/v1", tags=["workers"])


class Queues(BaseModel):
    """Queues that a worker is to serve."""

    model_config = ConfigDict(extra="forbid")

    queues: list[str] = Field(min_length=1, max_length=100, examples=[["email.bulk"]])


WORKERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Those that answered", "content": {"application/json": {"example": {
        "entries": [{
            "name": "email.bulk@mail-1", "broker": "batch", "queues": ["email.bulk"], "running": [{
                "id": "5b3d2c1e-7a40-4c8b-9f5e-2d1a6b7c8d9e", "name": "email.send_chunk", "queue": "email.bulk",
                "since": 1795257000.5, "args": None, "kwargs": None,
            }],
            "reserved": 0, "pool": "gevent", "processes": 8, "memory_kib": 98304, "pid": 7, "up_seconds": 86400,
            "done": 120400,
        }],
        "not_asked": {}, "sampled_at": "2026-11-21T09:30:00.125000+00:00", "every_seconds": 2.0, "after": None,
    }}}},
}  # fmt: skip


@router.get("/workers", responses=WORKERS, summary="List the workers that answer, and what each runs now")
async def list_(request: Request, caller: Annotated[KeyEntry, may(Act.SEE)], fresh: Fresh = False) -> dict[str, Any]:
    """Tell what the workers of every broker said at `sampled_at`, or later; see `/queues`.

    `not_asked` has the brokers whose workers could not be asked, and why.
    """
    sample = await context_of(request).samples.take("workers", partial(list_workers, app), fresh=fresh)
    workers = [plain(caller, worker) for worker in sample.value.workers]
    return {"entries": workers, "not_asked": dict(sample.value.not_asked), **sample.told(), "after": None}


@router.post("/workers/{name}/drain", summary="Drain a worker")
async def drain(name: str, errand: Annotated[Errand, does(Act.DRAIN_WORKER)]) -> Response:
    """Have it take nothing more; it ends what it holds. `left` are the queues that it served."""

    def act(_: str) -> Outcome:
        worker = drain_worker(app, name)
        return 200, {"worker": worker.name, "left": list(worker.queues), "running": len(worker.running)}

    return await errand.run_asking(name, None, act)


@router.post("/workers/{name}/undrain", summary="Have a worker serve queues again")
async def undrain(name: str, given: Queues, errand: Annotated[Errand, does(Act.DRAIN_WORKER)]) -> Response:
    """Have it serve queues of its broker."""
    wanted = [known_queue(app, queue) for queue in given.queues]

    def act(_: str) -> Outcome:
        worker = undrain_worker(app, name, wanted)
        return 200, {"worker": worker.name, "serves": wanted}

    return await errand.run_asking(name, wanted, act)
