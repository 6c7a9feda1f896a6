"""Connections to Redis: what goes wrong on them is a connection error, which workers and publishers know."""

from __future__ import annotations

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


def test_one_that_connects_at_the_very_deadline_leaves_no_socket(brokers, monkeypatch):
    url = switchyard_brokers()["default"].url.get_secret_value()
    connection = redis.ConnectionPool.from_url(url, connection_class=BoundedConnection).make_connection()
    dialed, prepare = [], connection._prepare
    monkeypatch.setattr(connection, "_prepare", lambda connecting: dialed.append(connecting) or prepare(connecting))
    times = iter([0.0, 0.5, 1.5])  # when the deadline is set, before the connection is made, and after
    monkeypatch.setattr(deadlines, "monotonic", lambda: next(times))
    with at_most(1.0), pytest.raises(TimeoutError):
        connection._connect()
    [left] = dialed
    assert left.fileno() == -1
