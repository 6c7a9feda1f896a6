"""Connections to Redis: what goes wrong on them is a connection error, which workers and publishers know."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import redis

from shared import deadlines
from shared.brokers import switchyard_brokers
from shared.deadlines import at_most
from shared.transports.redis_connections import BoundedConnection


def test_one_that_another_greenlet_has_closed_is_broken(brokers):
    url = switchyard_brokers()["default"].url.get_secret_value()
    pool = redis.ConnectionPool.from_url(url, connection_class=BoundedConnection)
    connection = pool.make_connection()
    connection.connect()
    connection.send_command("PING")
    assert connection.read_response() == b"PONG"
    connection.disconnect()
    with pytest.raises(redis.ConnectionError, match="closed meanwhile"):
        connection.read_response()


class Noting(BoundedConnection):
    """Keeps the socket that it made last."""

    made: socket.socket

    def _prepare(self, connecting: socket.socket) -> None:
        self.made = connecting
        super()._prepare(connecting)


def test_one_that_connects_at_the_very_deadline_leaves_no_socket(brokers, monkeypatch):
    where = urlsplit(switchyard_brokers()["default"].url.get_secret_value())
    connection = Noting(host=where.hostname, port=where.port)
    times = iter([0.0, 0.5, 1.5])  # when the deadline is set, before the connection is made, and after
    monkeypatch.setattr(deadlines, "monotonic", lambda: next(times))
    with at_most(1.0), pytest.raises(TimeoutError):
        connection._connect()
    assert connection.made.fileno() == -1
