"""The fleet at a glance, as far as the ledger knows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.encoders import jsonable_encoder

from services.core.api.access import may
from services.core.api.context import context_of
from services.core.api.roles import Act
from services.core.fleet_view.tasks import status_of_history
from services.core.ledger.measuring import count_campaigns, count_jobs
from services.core.usecases.api_keys import KeyEntry
from services.core.usecases.letters import count_kept
from services.core.usecases.outbox_lag import outbox_lag

router = APIRouter(prefix="/api/v1", tags=["overview"])


@router.get("/overview", summary="Tell how much there is of everything in the ledger")
def overview(request: Request, caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:  # noqa: ARG001
    """Count jobs and campaigns by state, dead letters, and what waits to be published; `/queues` asks the brokers."""
    ledger = context_of(request).ledger
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
