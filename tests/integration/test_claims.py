"""The scripts of claims: what can't be done is not half done, and a clock that is set back holds up nobody."""

from __future__ import annotations

import logging

import pytest
import redis
from kombu import Connection, Producer, Queue

from shared.transports.claims import DEAD, HELD, LEASES, WATCH, Claims
from tests.fleet.inspection import wait_for

LIST, OTHER = "some.queue", "another.queue"


@pytest.fixture
def claims(redis_client):
    return Claims(redis_client)


def take(claims, sources=(LIST,), number=0, seconds=10.0):
    return claims.claim(sources, 10, "me:", number, seconds)


def test_what_can_not_be_put_back_stays_held(claims, redis_client):
    redis_client.lpush(LIST, b"one")
    redis_client.lpush(OTHER, b"two")
    one, two = take(claims) + take(claims, [OTHER], number=1)
    redis_client.set(LIST, "no list any more")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        claims.give_back([(one.id, b""), (two.id, b"")], where="front")
    assert redis_client.hkeys(HELD) == [one.id.encode()], "the other one is given back all the same"
    assert redis_client.zscore(LEASES, one.id)
    assert redis_client.lrange(OTHER, 0, -1) == [b"two"]
    redis_client.delete(LIST)
    assert claims.give_back([(one.id, b"")], where="front") == 1
    assert redis_client.lrange(LIST, 0, -1) == [b"one"]


def test_an_account_that_may_not_put_back_loses_nothing(claims, redis_client, redis_url):
    redis_client.lpush(LIST, b"one")
    [one] = take(claims)
    redis_client.acl_setuser("poor", enabled=True, nopass=True, keys=["fleet.*"], commands=["+@all"], reset=True)
    poor = redis_url.replace("redis://:", "redis://poor:")
    with redis.Redis.from_url(poor) as restricted, pytest.raises(redis.ResponseError):
        Claims(restricted).give_back([(one.id, b"")], where="front")
    assert redis_client.hlen(HELD) == 1


def test_a_list_that_can_not_be_read_is_told_of_and_the_others_are_served(claims, redis_client, caplog):
    redis_client.set(LIST, "no list")
    assert take(claims, [LIST, OTHER]) == []
    assert "Nothing can be taken out of some.queue: WRONGTYPE" in caplog.text
    redis_client.lpush(OTHER, b"two")
    assert [claim.payload for claim in take(claims, [LIST, OTHER])] == [b"two"]


def test_a_clock_that_was_set_back_holds_up_nobody(claims, redis_client):
    redis_client.lpush(LIST, b"one")
    [one] = take(claims, seconds=0.2)
    hour = 3600.0
    for field in ("since", "last"):
        redis_client.hset(WATCH, field, redis_client.time()[0] + hour)
    redis_client.zadd(LEASES, {one.id: redis_client.time()[0] + hour})
    assert claims.expired(10, lease=0.2, gap=5.0) == []
    assert redis_client.zscore(LEASES, one.id) < redis_client.time()[0] + 2
    expired = wait_for(lambda: claims.expired(10, lease=0.2, gap=5.0), "its lease to run out")
    assert [claim.id for claim in expired] == [one.id]


def test_a_dead_letter_that_the_server_could_not_take_is_there_when_it_is_back(redis_server, redis_url, redis_client):
    with Connection(redis_url, transport="shared.transports.redis:Transport") as connection:
        channel = connection.default_channel
        queue = Queue(LIST, routing_key=LIST, channel=channel)
        Producer(channel).publish({}, routing_key=LIST, declare=[queue])
        message = queue.get()
        message.ack = lambda multiple=False: channel.bury(message.delivery_tag, b"letter")  # noqa: ARG005 - kombu's
        redis_server.kill()
        try:
            message.ack_log_error(logging.getLogger(__name__), connection.connection_errors)
            assert connection.transport.cycle.broken is not None, "the loop is not told to connect anew"
        finally:
            redis_server.start()
        wait_for(lambda: redis_client.lrange(DEAD, 0, -1) == [b"letter"], "the dead letter")
        assert redis_client.hlen(HELD) == 0
        assert redis_client.llen(LIST) == 0


def test_a_channel_that_is_closed_claims_nothing(redis_url, redis_client):
    """A greenlet that has ended its work asks for more, and while it connects another one closes the channel."""
    with Connection(redis_url, transport="shared.transports.redis:Transport") as connection:
        channel = connection.channel()
        queue = Queue(LIST, routing_key=LIST, channel=channel)
        Producer(channel).publish({}, routing_key=LIST, declare=[queue])
        channel.basic_consume(LIST, no_ack=False, callback=lambda message: message, consumer_tag="one")
        poller, keeper = channel.connection.cycle, channel.leases
        channel.close()
        poller._register_BRPOP(channel)
        assert redis_client.llen(LIST) == 1
        assert redis_client.hlen(HELD) == 0
        assert keeper._may_hold() == []
