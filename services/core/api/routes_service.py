"""How the API itself is: no key is needed for that."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.core.api.context import context_of
from services.core.ledger.access import can_be_read

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="Tell whether the API lives")
async def live() -> JSONResponse:
    """Answer as long as its loop turns; it asks nobody else."""
    return JSONResponse({"live": True})


@router.get("/readyz", summary="Tell whether the API can do its work")
def ready(request: Request) -> JSONResponse:
    """Answer 200 when the ledger can be read, else 503 with a problem.

    Brokers are not asked: what is accepted while one is away waits in the outbox.
    """
    with context_of(request).ledger.reading() as session:
        can_be_read(session)
    return JSONResponse({"ready": True})


@router.get("/metrics", summary="Metrics of this process for Prometheus", response_class=PlainTextResponse)
def metrics(request: Request) -> Response:
    """Count requests by route; nothing of what they say."""
    return Response(context_of(request).exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
