"""Connections to Redis: what goes wrong on them is a connection error, which workers and publishers know."""

from __future__ import annotations

import pytest
import redis

from shared.brokers import switchyard_brokers
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
