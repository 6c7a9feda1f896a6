"""The fleet at a glance, as far as the ledger knows it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.encoders import jsonable_encoder
from starlette.responses import Response, StreamingResponse

from services.core.api.access import may
from services.core.api.context import ApiContext, context_of
from services.core.api.events import follow
from services.core.api.roles import Act
from services.core.api.samples import Fresh
from services.core.fleet_view.tasks import status_of_history
from services.core.ledger.engine import Ledger
from services.core.ledger.measuring import count_campaigns, count_jobs
from services.core.usecases.api_keys import KeyEntry
from services.core.usecases.letters import count_kept
from services.core.usecases.outbox_lag import outbox_lag

router = APIRouter(prefix="/api/v1", tags=["overview"])


OVERVIEW: dict[int | str, dict[str, Any]] = {
    200: {"description": "How much there is", "content": {"application/json": {"example": {
        "jobs": {"running": 2, "done": 118}, "campaigns": {"paused": 1, "done": 7},
        "outbox": {"entries": 3, "seconds": 0.4, "relay_at_work": True},
        "dead_letters": {"kept": 4, "by_reason": {"failed": 4}, "expired": 0, "over_limit": 0},
        "history": {"at_work": True, "dropped": 0},
        "sampled_at": "2026-11-21T09:30:00.125000+00:00", "every_seconds": 2.0,
    }}}},
}  # fmt: skip


@router.get("/overview", responses=OVERVIEW, summary="Tell how much there is of everything in the ledger")
async def overview(
    request: Request,
    caller: Annotated[KeyEntry, may(Act.SEE)],  # noqa: ARG001
    fresh: Fresh = False,
) -> dict[str, Any]:
    """Count jobs and campaigns by state, dead letters, and what waits to be published; `/queues` asks the brokers.

    All who ask share an answer for `every_seconds`.
    """
    return await _told(context_of(request), fresh=fresh)


@router.get("/overview/events", summary="Follow the overview", response_class=StreamingResponse)
async def events(request: Request, caller: Annotated[KeyEntry, may(Act.SEE)]) -> Response:
    """Send the overview at once, and each time that it was counted anew, without an end: server-sent events."""
    return await follow(request, caller, partial(_told, context_of(request)))


async def _told(context: ApiContext, *, fresh: bool = False) -> dict[str, Any]:
    sample = await context.samples.take("overview", partial(_counted, context.ledger), fresh=fresh)
    return {**sample.value, **sample.told()}


def _counted(ledger: Ledger) -> dict[str, Any]:
    with ledger.reading() as session:
        jobs, campaigns = count_jobs(session), count_campaigns(session)
    lag, history = outbox_lag(ledger), status_of_history(ledger)
    # Why something could not be published may name hosts, and what it was.
    outbox = {"entries": lag.entries, "seconds": lag.seconds, "relay_at_work": lag.relay_at_work}
    told: dict[str, Any] = jsonable_encoder(
        {
            "jobs": jobs,
            "campaigns": campaigns,
            "outbox": outbox,
            "dead_letters": asdict(count_kept(ledger)),
            "history": {"at_work": history.at_work, "dropped": history.dropped},
        }
    )
    return told
