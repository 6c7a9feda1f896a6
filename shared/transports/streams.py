"""py-amqp's sockets: connected within the deadline of the caller, read ahead, and never spun upon."""

from __future__ import annotations

import socket
from ssl import SSLWantReadError
from struct import Struct
from threading import Lock
from typing import Any

from amqp.transport import SSLTransport as TLSStream
from amqp.transport import TCPTransport as TCPStream

from shared.deadlines import time_left
from shared.transports.dialing import dial

CLOSE_WITHIN_SECONDS = 1.0
"""How long a connection or channel that is closed waits for the server to agree."""


READ_AHEAD = 16 * 1024
"""Bytes that are read at least, if they are there.

py-amqp asks for the head, the content and the last byte of each frame by itself: nine system calls for a message.
"""
HEAD = Struct(">BHI")
LAST_BYTE = 0xCE


class WholeFrames:
    """Part of a stream: reads ahead, and writes one after the other whatever thread writes."""

    sock: Any
    _read_buffer: bytes
    _quick_recv: Any
    _write: Any

    def frame_at_hand(self) -> tuple[int, int, bytes] | None:
        """Return the next frame, if all of it was read with what came before it."""
        if not self.has_frame_at_hand:
            return None
        buffer = self._read_buffer
        kind, channel, size = HEAD.unpack_from(buffer)
        last = HEAD.size + size
        if buffer[last] != LAST_BYTE:
            return None  # ``read_frame`` says what is wrong with it
        self._read_buffer = buffer[last + 1 :]
        return kind, channel, buffer[HEAD.size : last]

    @property
    def has_frame_at_hand(self) -> bool:
        """Whether all of a frame is at hand; a loop that waits for the socket would not learn of it."""
        there = len(self._read_buffer)
        return there > HEAD.size and there > HEAD.size + HEAD.unpack_from(self._read_buffer)[2]

    def _setup_transport(self: Any) -> None:
        super()._setup_transport()  # type: ignore[misc]
        receive, send, one_at_a_time = self._quick_recv, self._write, Lock()

        def write(frames: Any) -> None:
            with one_at_a_time:
                send(frames)

        self._quick_recv = lambda least: receive(max(least, READ_AHEAD))
        self._write = write


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


class BoundedTCPStream(WholeFrames, UnhurriedReads, TCPStream):
    """A socket."""

    def _connect(self, host: str, port: int, timeout: float | None) -> None:
        self.sock = dial(host, port, timeout, _leave_as_it_is)


class BoundedTLSStream(WholeFrames, UnhurriedReads, TLSStream):
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
