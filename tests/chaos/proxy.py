"""A proxy that sees every answer of a server before the client does, and may keep one back for good."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from tests.fixtures.proxy import PIECE, Proxy


class WatchingProxy(Proxy):
    """Asks about each answer before it passes.

    Args:
        port: That of the server, on the loopback interface.
        stops: Gets what this client has said so far, and the answer; where it returns true, nothing of this
            connection passes any more.
    """

    def __init__(self, port: int, stops: Callable[[bytes, bytes], bool]) -> None:
        self._stops = stops
        self._said: dict[socket.socket, bytes] = defaultdict(bytes)
        super().__init__(port)

    def _pass(self, source: socket.socket) -> None:
        with suppress(OSError):  # a reset; who passes it on finds out
            piece = source.recv(PIECE, socket.MSG_PEEK)
            if source.getpeername() != self._server:
                self._said[source] += piece
            elif piece and self._stops(self._said[self._pairs[source]], piece):
                self._frozen |= {source, self._pairs[source]}
                return
        super()._pass(source)
