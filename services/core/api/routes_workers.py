"""Workers of all brokers: seen, drained, taken up again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.core.api.access import Errand, does, may
from services.core.api.hiding import plain
from services.core.api.roles import Act
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


@router.get("/workers", summary="List the workers that answer, and what each runs now")
def list_(caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:
    """Ask the workers of every broker; `not_asked` has the brokers whose workers could not be, and why."""
    found = list_workers(app)
    workers = [plain(caller, worker) for worker in found.workers]
    return {"entries": workers, "not_asked": dict(found.not_asked), "after": None}


@router.post("/workers/{name}/drain", summary="Drain a worker")
def drain(name: str, errand: Annotated[Errand, does(Act.DRAIN_WORKER)]) -> Response:
    """Have it take nothing more; it ends what it holds. `left` are the queues that it served."""

    def act(_: str) -> Outcome:
        worker = drain_worker(app, name)
        return 200, {"worker": worker.name, "left": list(worker.queues), "running": len(worker.running)}

    return errand.run(name, None, act)


@router.post("/workers/{name}/undrain", summary="Have a worker serve queues again")
def undrain(name: str, given: Queues, errand: Annotated[Errand, does(Act.DRAIN_WORKER)]) -> Response:
    """Have it serve queues of its broker."""
    wanted = [known_queue(app, queue) for queue in given.queues]

    def act(_: str) -> Outcome:
        worker = undrain_worker(app, name, wanted)
        return 200, {"worker": worker.name, "serves": wanted}

    return errand.run(name, wanted, act)
