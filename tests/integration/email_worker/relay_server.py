"""A real SMTP server in a thread that keeps what it accepts and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as SMTP_POLICY
from typing import Any, Self

from aiosmtpd.smtp import SMTP

HANG_UP = "hang up"
HOLD = "hold the answer back until the server stops"


@dataclass(frozen=True)
class Kept:
    """One message as it arrived."""

    sender: str
    recipients: list[str]
    content: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return BytesParser(policy=SMTP_POLICY).parsebytes(self.content)


class RelayServer:
    """Runs aiosmtpd on a free port of the loopback; ``options`` are those of its ``SMTP``.

    It takes several commands in one go in any case; ``pipelining`` has it say so.
    """

    def __init__(self, *, implicit_tls: ssl.SSLContext | None = None, pipelining: bool = False, **options: Any) -> None:
        self.pipelining = pipelining
        self.kept: list[Kept] = []
        self.connections = 0
        self.answers: defaultdict[str, deque[str]] = defaultdict(deque)
        """Answers to come for a command (``MAIL``, ``RCPT``, ``DATA``); without one all goes well."""
        self.holding = threading.Event()
        self._implicit_tls = implicit_tls
        self._options = {"hostname": "relay.test", "enable_SMTPUTF8": True, **options}
        self._open: set[_Session] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = self._loop.create_server(self._session, "127.0.0.1", 0, ssl=self._implicit_tls)
        self._server = self._run(listening)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def take(self, command: str) -> str:
        """Return the answer that is due for a command."""
        due = self.answers[command]
        return due.popleft() if due else "250 OK"

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    def _session(self) -> SMTP:
        self.connections += 1
        return _Session(_Handler(self), self._open, loop=self._loop, **self._options)

    async def _stop(self) -> None:
        self._server.close()
        for session in self._open:
            session.transport.abort()
        await asyncio.gather(*(session.closed.wait() for session in self._open))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Session(SMTP):
    """One connection, which enters and leaves the set of those that are open."""

    transport: asyncio.Transport

    def __init__(self, handler: Any, open_sessions: set[_Session], **options: Any) -> None:
        super().__init__(handler, **options)
        self.closed = asyncio.Event()
        self._open = open_sessions

    def connection_made(self, transport: Any) -> None:
        self._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        self.closed.set()
        super().connection_lost(error)


class _Handler:
    """Answers as the server is told to; aiosmtpd finds the methods by their names."""

    def __init__(self, server: RelayServer) -> None:
        self._server = server

    async def handle_EHLO(  # noqa: N802
        self, _smtp: Any, session: Any, _envelope: Any, name: str, responses: list[str]
    ) -> list[str]:
        session.host_name = name
        return [responses[0], "250-PIPELINING", *responses[1:]] if self._server.pipelining else responses

    async def handle_MAIL(self, smtp: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        answer = await self._answer("MAIL", smtp)
        if answer.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(self, smtp: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802
        answer = await self._answer("RCPT", smtp)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, smtp: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        due = self._server.answers["DATA"]
        if not due or not due[0].startswith(("4", "5")):
            user = session.auth_data.login.decode() if session.authenticated else None
            encrypted = smtp.transport.get_extra_info("sslcontext") is not None
            self._server.kept.append(
                Kept(envelope.mail_from, envelope.rcpt_tos, envelope.original_content, encrypted, user)
            )
        return await self._answer("DATA", smtp)

    async def _answer(self, command: str, smtp: Any) -> str:
        answer = self._server.take(command)
        if answer == HANG_UP:
            smtp.transport.abort()
            raise asyncio.CancelledError
        if answer == HOLD:
            self._server.holding.set()
            await asyncio.Event().wait()
        return answer
