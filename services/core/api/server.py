"""The server: uvicorn, with deadlines for clients that are slow, and an end that waits for what is under way."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import signal
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.core.api.context import ApiContext
from services.core.api.problems import MEDIA_TYPE, TYPE

logger = logging.getLogger(__name__)

HEADERS_WITHIN_SECONDS = 10.0
"""From the first byte of a connection, or of its next request, to the end of the headers."""
READ_WITHIN_SECONDS = 30.0
"""How long a client may take nothing of an answer that waits for it."""
REST_WITHIN_SECONDS = 5.0
"""How long a client may go on sending a body after its request was answered; cut off at once it might lose the
answer."""
KEEP_ALIVE_SECONDS = 15
END_WITHIN_SECONDS = 20
"""How long requests that are under way get when the API ends."""
OPEN_FILES = 65_536
FILES_FOR_OTHERS = 128
"""Open files that are no connections of clients: the database, files that are read and written, the log."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with deadlines: a connection that brings no headers, or takes no answer, is closed.

    Slow clients hold a socket until then, and nothing else: no thread, no connection of the database.
    """

    most_connections = 768
    _headers_due: asyncio.TimerHandle | None = None
    _read_due: asyncio.TimerHandle | None = None
    _rest_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many already."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._headers_due = self.loop.call_later(HEADERS_WITHIN_SECONDS, self._no_headers)

    def data_received(self, data: bytes) -> None:
        """Take what came; while it is part of the headers, their deadline stands."""
        super().data_received(data)
        if not self._rest_is_coming():
            self._rest_came()
        if self.conn.their_state is not h11.IDLE:
            self._headers_came()
        elif self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADERS_WITHIN_SECONDS, self._no_headers)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._headers_came()
        self._was_read()
        self._rest_came()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Go on to the next request, once all of this one is there; what was answered before is awaited for a moment.

        The first byte of a body ends uvicorn's deadline for idle connections.
        """
        super().on_response_complete()
        if self._rest_is_coming() and not self.transport.is_closing():
            self._rest_due = self.loop.call_later(REST_WITHIN_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        """Wait for the client to read, for some time."""
        super().pause_writing()
        self._read_due = self._read_due or self.loop.call_later(READ_WITHIN_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        self._was_read()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "no-http", msg)

    def _headers_came(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _rest_is_coming(self) -> bool:
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def _rest_came(self) -> None:
        if self._rest_due is not None:
            self._rest_due.cancel()
            self._rest_due = None

    def _was_read(self) -> None:
        if self._read_due is not None:
            self._read_due.cancel()
            self._read_due = None

    def _no_headers(self) -> None:
        self._headers_due = None
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            if self.conn.trailing_data[0]:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "The headers came too slowly.")
            else:
                self.transport.abort()

    def _refuse(self, status: HTTPStatus, kind: str, detail: str) -> None:
        told = {"type": f"{TYPE}{kind}", "title": status.phrase, "status": status.value, "detail": detail}
        headers = [("content-type", MEDIA_TYPE), ("connection", "close")]
        events = (
            h11.Response(status_code=status.value, headers=headers, reason=status.phrase.encode()),
            h11.Data(data=json.dumps(told).encode()),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event))
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server; when it is told to end, streams of events end, and all else is finished."""

    def __init__(self, config: uvicorn.Config, context: ApiContext) -> None:
        super().__init__(config)
        self._context = context

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """End."""
        self._context.stopping.set()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Begin, and say where."""
        await super().startup(sockets)
        for server in getattr(self, "servers", ()):
            for listener in server.sockets:
                host, port = listener.getsockname()[:2]
                logger.info("The API answers at http://%s:%d", f"[{host}]" if ":" in host else host, port)


def serve(app: FastAPI, context: ApiContext, host: str, port: int) -> bool:
    """Serve the API until SIGTERM or Ctrl-C; tell whether it could begin.

    Args:
        app: The API.
        context: Its context.
        host: The address to listen on.
        port: The port; 0 takes a free one, which the log tells.
    """
    PatientProtocol.most_connections = _raise_open_files() - FILES_FOR_OTHERS
    proxies = [network for network in (context.settings.api_forwarded_allow_ips or "").split(",") if network]
    config = uvicorn.Config(
        app, host=host, port=port, http=PatientProtocol, ws="none", lifespan="on", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=END_WITHIN_SECONDS,
        proxy_headers=bool(proxies), forwarded_allow_ips=proxies,
    )  # fmt: skip
    server = Server(config, context)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises once more what has ended it, when it is done
    try:
        server.run()
    except SystemExit:
        return False
    return server.started


def _raise_open_files() -> int:
    """Allow this process as many open files as it may allow itself; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)
