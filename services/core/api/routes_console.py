"""The web console: its files, under a policy by which a browser runs and fetches nothing that is not of here."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from services.core.console import STATIC

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
FIRST_PAGE = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
"""A browser keeps the files, and asks each time whether they are still those: after an update nobody sees a mixture."""


def console_router() -> APIRouter:
    """Return the routes of the console: one for each file that is there now, so that no path leads anywhere else."""
    router = APIRouter()
    for file in sorted(STATIC.rglob("*")):
        if file.suffix in MEDIA_TYPES:
            name = file.relative_to(STATIC).as_posix()
            path = "/" if name == FIRST_PAGE else f"/{name}"
            router.add_route(path, _serving(file), methods=["GET"], include_in_schema=False)
    return router


def _serving(file: Path) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        content = await run_in_threadpool(file.read_bytes)
        headers = {**HEADERS, "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=MEDIA_TYPES[file.suffix])

    return serve
