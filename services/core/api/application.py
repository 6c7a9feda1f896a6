"""Makes the app of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer

from services.core.api import (
    routes_access,
    routes_campaigns,
    routes_console,
    routes_jobs,
    routes_letters,
    routes_mails,
    routes_overview,
    routes_queues,
    routes_schedule,
    routes_service,
    routes_tasks,
    routes_workers,
)
from services.core.api.context import ApiContext
from services.core.api.health import reporting
from services.core.api.intake import Intake
from services.core.api.observing import Observing
from services.core.api.problems import tell_problems
from shared.metrics import RequestMetrics

ABOUT = """Give the fleet work, follow it, and steer it.

Show a key with each request: `Authorization: Bearer yard_…`. What a key may do is told by its role, see `/api/v1/me`.
Every POST bears an `Idempotency-Key`. Errors are `application/problem+json`. Lists are pages: ask for the next one with
`after`.
"""
PROBLEM = {"description": "A problem", "content": {"application/problem+json": {"example": {
    "type": "urn:switchyard:problem:unknown-id", "title": "Not Found", "status": 404,
    "detail": "There is no job with the id 'job-20261121-k3f9x2m7qa'.",
}}}}  # fmt: skip
GUARDED = (
    routes_overview, routes_jobs, routes_campaigns, routes_mails, routes_queues, routes_workers, routes_tasks,
    routes_letters, routes_schedule,
)  # fmt: skip


def create_app(context: ApiContext, metrics: RequestMetrics) -> FastAPI:
    """Make the app; it opens nothing before it is served.

    Args:
        context: What it works with.
        metrics: Where requests are counted.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with reporting(context):
            yield

    app = FastAPI(
        title="Switchyard",
        version=version("switchyard"),
        description=ABOUT,
        docs_url=None,  # their pages fetch scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        responses={"default": PROBLEM},
    )
    app.state.context = context
    tell_problems(app)
    app.include_router(routes_service.router)
    bearer = [Depends(HTTPBearer(auto_error=False, description="A key of `yard key create`."))]
    app.include_router(routes_access.router, dependencies=bearer)
    for module in GUARDED:
        app.include_router(module.router, dependencies=bearer)
    app.include_router(routes_console.console_router())
    app.add_middleware(Intake, upload_bytes=context.settings.api_upload_max_bytes)
    app.add_middleware(Observing, metrics=metrics)
    return app
