"""A TCP proxy before a server, which can be made to refuse, freeze or cut connections."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from contextlib import suppress
from typing import Any

from services.core.local.ports import LOOPBACK

PIECE = 65536
ABORT = struct.pack("ii", 1, 0)
"""``SO_LINGER`` so that ``close`` resets the connection."""


class Proxy:
    """Passes bytes between clients and a server, until it is told otherwise.

    ``freeze``: nothing is passed, the sockets stay open, and who connects gets no answer: half-open connections.
    ``refuse``: nobody listens on the port, and all connections are cut.

    Args:
        port: That of the server, on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self._server = (LOOPBACK, port)
        self._lock = threading.Lock()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._frozen: set[socket.socket] = set()
        self._freezes = False
        self._cut_after: int | None = None
        self.passed = 0
        """Bytes that clients have sent to the server."""
        self.accepted = 0
        """Connections that were accepted."""
        self._ended = False
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def freeze(self) -> None:
        """Pass nothing any more, neither of the connections that there are nor of new ones."""
        self._freezes = True

    def thaw(self) -> None:
        """Pass everything again; what lay in the sockets is not lost."""
        self._freezes = False

    def half_open(self) -> None:
        """Pass nothing ever again of the connections that there are; new ones work."""
        with self._lock:
            self._frozen |= set(self._pairs)

    def cut(self) -> None:
        """Reset every connection that there is."""
        with self._lock:
            for end in list(self._pairs):
                self._close(end)

    def cut_after(self, number: int) -> None:
        """Reset the connections as soon as so many more bytes were passed to the server; new ones work."""
        with self._lock:
            self._cut_after = self.passed + number

    def refuse(self) -> None:
        """Let nobody connect, and reset every connection."""
        self._listener.close()
        self.cut()

    def accept(self) -> None:
        """Let clients connect again, on the same port."""
        self._listener = self._listen(self.port)

    def end(self) -> None:
        """Close everything."""
        self._ended = True
        self._thread.join(10)
        self._listener.close()
        self.cut()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(100)
        return listener

    def _run(self) -> None:
        while not self._ended:
            with self._lock, selectors.DefaultSelector() as selector, suppress(OSError, ValueError):
                if not self._freezes:
                    for end in self._pairs.keys() - self._frozen:
                        selector.register(end, selectors.EVENT_READ)
                if self._listener.fileno() >= 0:
                    selector.register(self._listener, selectors.EVENT_READ)
                for key, _ in selector.select(0.01):
                    self._handle(key.fileobj)

    def _handle(self, ready: Any) -> None:
        if ready is self._listener:
            client, _ = ready.accept()
            self.accepted += 1
            try:
                server = socket.create_connection(self._server, timeout=5)
            except OSError:
                client.close()
                return
            self._pairs.update({client: server, server: client})
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        elif ready in self._pairs:
            self._pass(ready)

    def _pass(self, source: socket.socket) -> None:
        try:
            piece = source.recv(PIECE)
            to_server = source.getpeername() != self._server
            if to_server and self._cut_after is not None and self.passed + len(piece) >= self._cut_after:
                piece = piece[: self._cut_after - self.passed]
                self._pairs[source].sendall(piece)
                self.passed += len(piece)
                self._cut_after = None
                for end in list(self._pairs):
                    self._close(end)
                return
            self._pairs[source].sendall(piece)
            self.passed += len(piece) if to_server else 0
        except OSError:
            piece = b""
        if not piece:
            self._close(source)

    def _close(self, end: socket.socket) -> None:
        other = self._pairs.pop(end, None)
        if other is not None:
            self._pairs.pop(other, None)
        for each in (end, other):
            if each is None:
                continue
            self._frozen.discard(each)
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            each.close()
