"""What comes in: no more than is allowed, and no slower than is useful."""

from __future__ import annotations

import asyncio
from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.api.problems import Problem

LARGEST_BODY = 1024 * 1024
"""Of a request that is no upload."""
UPLOADS = frozenset({"/api/v1/jobs", "/api/v1/campaigns"})
PAUSE_SECONDS = 20.0
"""How long a client may send nothing in the middle of a body."""
LEAST_BYTES_PER_SECOND = 1024
"""How slowly it may send in the long run; the slowest mobile network is faster."""
GRACE_SECONDS = 20.0
CLOSE = {"Connection": "close"}


class Intake:
    """Ends requests whose body is too large or too slow.

    Args:
        app: What serves them.
        upload_bytes: The largest upload.
        pause_seconds: How long a client may send nothing.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._app = app
        self._upload_bytes = upload_bytes
        self._pause = pause_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = scope["method"] == "POST" and scope["path"] in UPLOADS
        body = Body(receive, self._upload_bytes if upload else LARGEST_BODY, self._pause)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        try:
            body.refuse_more_than_allowed(int(declared))
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, body.receive, send)


class Body:
    """The body of a request, as it comes in."""

    def __init__(self, receive: Receive, most: int, pause: float) -> None:
        self._receive = receive
        self._most = most
        self._pause = pause
        self._bytes = 0
        self._began: float | None = None
        self._whole = False

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            Problem: 413 when it is too large, 408 when it comes too slowly.
        """
        if self._whole:  # what is waited for now is that the client goes away
            return await self._receive()
        self._began = self._began or monotonic()
        try:
            async with asyncio.timeout(self._pause):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        self._bytes += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        self.refuse_more_than_allowed(self._bytes)
        taken = monotonic() - self._began
        if not self._whole and taken > GRACE_SECONDS and self._bytes / taken < LEAST_BYTES_PER_SECOND:
            raise self._too_slow()
        return message

    def refuse_more_than_allowed(self, count: int) -> None:
        """Refuse a body of a size."""
        if count > self._most:
            detail = f"The body is larger than {self._most} bytes, which is the most that is taken here."
            raise Problem(413, "too-large", detail, headers=CLOSE, limit=self._most)

    def _too_slow(self) -> Problem:
        return Problem(408, "too-slow", "The body came too slowly; nothing was done.", headers=CLOSE)
