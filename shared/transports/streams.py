"""py-amqp's sockets: connected within the deadline of the caller, and never spun upon."""

from __future__ import annotations

import socket
from ssl import SSLWantReadError
from typing import Any

from amqp.transport import SSLTransport as TLSStream
from amqp.transport import TCPTransport as TCPStream

from shared.deadlines import time_left
from shared.transports.dialing import dial

CLOSE_WITHIN_SECONDS = 1.0
"""How long a connection or channel that is closed waits for the server to agree."""


class UnhurriedReads:
    """Part of a stream: takes a frame of which only a part is there for one that is not there yet.

    In a loop that waits for nothing, py-amqp tries for the rest of it without end: a link that dies in the midst of a
    frame would hang the loop, and with it the heartbeats that would notice.  What has been read is kept for the next
    try.
    """

    sock: Any

    def _read(self, n: int, initial: bool = False, **options: Any) -> bytes:
        if self.sock.gettimeout() != 0:
            read: bytes = super()._read(n, initial, **options)  # type: ignore[misc]
            return read
        try:
            there: bytes = super()._read(n, initial, _errnos=())  # type: ignore[misc]
        except (BlockingIOError, SSLWantReadError):
            raise TimeoutError from None
        return there


class BoundedTCPStream(UnhurriedReads, TCPStream):
    """A socket."""

    def _connect(self, host: str, port: int, timeout: float | None) -> None:
        self.sock = dial(host, port, timeout, _leave_as_it_is)


class BoundedTLSStream(UnhurriedReads, TLSStream):
    """A socket with TLS."""

    def _connect(self, host: str, port: int, timeout: float | None) -> None:
        self.sock = dial(host, port, timeout, _leave_as_it_is)
        self.connect_timeout = time_left(timeout)  # for the handshake

    def _shutdown_transport(self) -> None:
        if self.sock is not None:
            self.sock.settimeout(CLOSE_WITHIN_SECONDS)  # a frozen server never answers the goodbye of TLS
        super()._shutdown_transport()


def _leave_as_it_is(_: socket.socket) -> None:
    pass
