"""The schedule: seen, its entries paused, resumed, run now."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.encoders import jsonable_encoder
from starlette.responses import Response

from services.core.api.access import Errand, does, may
from services.core.api.context import context_of
from services.core.api.roles import Act
from services.core.app import app
from services.core.fleet_view.schedule import list_entries, pause_entry, resume_entry, run_entry
from services.core.usecases.acting import Outcome
from services.core.usecases.api_keys import KeyEntry

router = APIRouter(prefix="/api/v1", tags=["schedule"])


@router.get("/schedule", summary="List the entries of the schedule")
async def list_(request: Request, caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:  # noqa: ARG001
    """Tell when each ran, and when it will."""
    entries = await context_of(request).asking.run(partial(list_entries, app))
    return {"entries": [jsonable_encoder(asdict(entry)) for entry in entries], "after": None}


@router.post("/schedule/{name}/pause", summary="Pause an entry of the schedule")
async def pause(name: str, errand: Annotated[Errand, does(Act.PAUSE_ENTRY)]) -> Response:
    """Have every beat leave it out until it is resumed."""

    def act(_: str) -> Outcome:
        return 200, {"entry": name, "paused": True, "changed": pause_entry(app, name, errand.caller.label)}

    return await errand.run_asking(name, None, act)


@router.post("/schedule/{name}/resume", summary="Resume an entry of the schedule")
async def resume(name: str, errand: Annotated[Errand, does(Act.RESUME_ENTRY)]) -> Response:
    """Have beat fire it again, from its next time on."""

    def act(_: str) -> Outcome:
        return 200, {"entry": name, "paused": False, "changed": resume_entry(app, name)}

    return await errand.run_asking(name, None, act)


@router.post("/schedule/{name}/run", status_code=202, summary="Run an entry of the schedule now")
async def run(name: str, errand: Annotated[Errand, does(Act.RUN_ENTRY)]) -> Response:
    """Publish its task now, paused or not; its next time stays as it is."""

    def act(_: str) -> Outcome:
        return 202, {"entry": name, "task": run_entry(app, name)}

    return await errand.run_asking(name, None, act, once=True)
