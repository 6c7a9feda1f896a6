"""The scripts of claims: what can't be done is not half done, and a clock that is set back holds up nobody."""

from __future__ import annotations

import logging

import pytest
import redis
from kombu import Connection, Producer, Queue

from services.core.local.brokers import LocalRedis
from shared.transports.claims import DEAD, HELD, LEASES, WATCH, Claims
from tests.fleet.inspection import wait_for

LIST, OTHER = "some.queue", "another.queue"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with LocalRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def client(server):
    with redis.Redis.from_url(server.url(5)) as client:
        yield client
        client.flushdb()


@pytest.fixture
def claims(client):
    return Claims(client)


def take(claims, sources=(LIST,), number=0, seconds=10.0):
    return claims.claim(sources, 10, "me:", number, seconds)


def test_what_can_not_be_put_back_stays_held(claims, client):
    client.lpush(LIST, b"one")
    client.lpush(OTHER, b"two")
    one, two = take(claims) + take(claims, [OTHER], number=1)
    client.set(LIST, "no list any more")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        claims.give_back([(one.id, b""), (two.id, b"")], where="front")
    assert client.hkeys(HELD) == [one.id.encode()], "the other one is given back all the same"
    assert client.zscore(LEASES, one.id)
    assert client.lrange(OTHER, 0, -1) == [b"two"]
    client.delete(LIST)
    assert claims.give_back([(one.id, b"")], where="front") == 1
    assert client.lrange(LIST, 0, -1) == [b"one"]


def test_an_account_that_may_not_put_back_loses_nothing(claims, client, server):
    client.lpush(LIST, b"one")
    [one] = take(claims)
    client.acl_setuser("poor", enabled=True, nopass=True, keys=["fleet.*"], commands=["+@all"], reset=True)
    poor = server.url(5).replace("redis://:", "redis://poor:")
    with redis.Redis.from_url(poor) as restricted, pytest.raises(redis.ResponseError):
        Claims(restricted).give_back([(one.id, b"")], where="front")
    assert client.hlen(HELD) == 1


def test_a_list_that_can_not_be_read_is_told_of_and_the_others_are_served(claims, client, caplog):
    client.set(LIST, "no list")
    assert take(claims, [LIST, OTHER]) == []
    assert "Nothing can be taken out of some.queue: WRONGTYPE" in caplog.text
    client.lpush(OTHER, b"two")
    assert [claim.payload for claim in take(claims, [LIST, OTHER])] == [b"two"]


def test_a_clock_that_was_set_back_holds_up_nobody(claims, client):
    client.lpush(LIST, b"one")
    [one] = take(claims, seconds=0.2)
    hour = 3600.0
    for field in ("since", "last"):
        client.hset(WATCH, field, client.time()[0] + hour)
    client.zadd(LEASES, {one.id: client.time()[0] + hour})
    assert claims.expired(10, lease=0.2, gap=5.0) == []
    assert client.zscore(LEASES, one.id) < client.time()[0] + 2
    expired = wait_for(lambda: claims.expired(10, lease=0.2, gap=5.0), "its lease to run out")
    assert [claim.id for claim in expired] == [one.id]


def test_a_dead_letter_that_the_server_could_not_take_is_there_when_it_is_back(server, client):
    with Connection(server.url(5), transport="shared.transports.redis:Transport") as connection:
        channel = connection.default_channel
        queue = Queue(LIST, routing_key=LIST, channel=channel)
        Producer(channel).publish({}, routing_key=LIST, declare=[queue])
        message = queue.get()
        message.ack = lambda multiple=False: channel.bury(message.delivery_tag, b"letter")  # noqa: ARG005 - kombu's
        server.kill()
        try:
            message.ack_log_error(logging.getLogger(__name__), connection.connection_errors)
            assert connection.transport.cycle.broken is not None, "the loop is not told to connect anew"
        finally:
            server.start()
        wait_for(lambda: client.lrange(DEAD, 0, -1) == [b"letter"], "the dead letter")
        assert client.hlen(HELD) == 0
        assert client.llen(LIST) == 0
