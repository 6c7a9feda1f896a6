"""Connections to Redis that keep the deadline of the caller, and note when a message leaves."""

from __future__ import annotations

import socket
from typing import Any

import redis
from redis.utils import SENTINEL

from shared.deadlines import has_deadline, time_left
from shared.handover import bytes_leave, leaving
from shared.transports.dialing import dial


class BoundedConnection(redis.Connection):
    """redis-py's connection; under a deadline it waits for an answer exactly as long as that allows.

    Without one its own time limits hold.  They are those of a worker, which connects anew when Redis is silent; a
    publisher would only have to report a message as unknown that arrives a little later.
    """

    _sock: Any
    _logging_in = False

    def connect_check_health(self, *args: Any, **options: Any) -> None:
        """Connect and log in; none of that is the message."""
        if self._sock:
            return
        self._logging_in = True
        try:
            super().connect_check_health(*args, **options)
            self._sock.settimeout(self.socket_timeout)
        finally:
            self._logging_in = False

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Write a command."""
        if not self._sock:
            self.connect_check_health(check_health=False)
        if not self._logging_in:
            bytes_leave()
        if not has_deadline():
            super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
            return
        self._sock.settimeout(self._bound(None))
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
        self._sock.settimeout(self.socket_timeout)

    def read_response(self, *args: Any, timeout: Any = SENTINEL, **options: Any) -> Any:
        """Read an answer.

        Raises:
            redis.ConnectionError: Also when another greenlet has closed the connection, for which redis-py has an
                ``AttributeError``, and a worker's loop would end with it.
        """
        if has_deadline():
            timeout = self._bound(None if timeout is SENTINEL else timeout)
        try:
            return super().read_response(*args, timeout=timeout, **options)
        except AttributeError:
            if self._sock is not None:
                raise
            raise redis.ConnectionError("The connection was closed meanwhile.") from None

    def _connect(self) -> socket.socket:
        connected = dial(self.host, self.port, self.socket_connect_timeout, self._prepare)
        try:
            connected.settimeout(time_left(self.socket_timeout))  # TLS shakes hands next
        except TimeoutError:
            connected.close()
            raise
        return connected

    def _prepare(self, connecting: socket.socket) -> None:
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.socket_keepalive:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in self.socket_keepalive_options.items():
                connecting.setsockopt(socket.IPPROTO_TCP, option, value)

    def _bound(self, limit: float | None) -> float | None:
        try:
            return time_left(limit)
        except TimeoutError as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise redis.TimeoutError(str(error)) from error


class BoundedTLSConnection(redis.SSLConnection, BoundedConnection):
    """The same over TLS."""


class BoundedPublishing:
    """Part of the Redis channel: uses these connections, and says when it writes a message."""

    connection_class = BoundedConnection
    connection_class_ssl = BoundedTLSConnection

    def _put(self, *args: Any, **options: Any) -> None:
        with leaving():
            super()._put(*args, **options)  # type: ignore[misc]

    def _put_fanout(self, *args: Any, **options: Any) -> None:
        with leaving():
            super()._put_fanout(*args, **options)  # type: ignore[misc]
