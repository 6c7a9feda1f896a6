"""Each request as one line of the log and as metrics; neither shows what the query or a header says."""

from __future__ import annotations

import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.metrics import RequestMetrics

logger = logging.getLogger(__name__)

UNMATCHED = "unmatched"
"""The route of a path that nobody serves; the path itself would be a label without bounds."""
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Observing:
    """Logs and counts requests.

    Args:
        app: What serves them.
        metrics: Where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 499

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_missing(message)]
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception:
            status = 500
            raise
        finally:
            self._tell(scope, status, perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.served(scope["method"], route, status, seconds)
        level = logging.DEBUG if scope["path"] in QUIET and status < 400 else logging.INFO
        # As it was sent, percent signs and all: no line break of a path ends a line of the log.
        path = scope.get("raw_path", b"").decode("ascii", "backslashreplace")
        caller = scope.get("switchyard.caller", "-")
        logger.log(level, "%s %s %d %.1f ms key=%s", scope["method"], path, status, seconds * 1000, caller)


def _missing(message: Message) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in message.get("headers", ())}
    wanted = (*SECURITY_HEADERS, (b"cache-control", b"no-store"))
    return [(name, value) for name, value in wanted if name not in there]
