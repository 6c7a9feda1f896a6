"""Work that is over is settled together with the next claim; whatever happens meanwhile, it is settled once."""

from __future__ import annotations

from typing import Any

import pytest
from kombu import Connection, Consumer, Producer, Queue

from shared.transports.claims import HELD, LEASES
from tests.fleet.inspection import wait_for

LIST = "some.queue"
LEASE_SECONDS = 2.0


@pytest.fixture
def connection(redis_url):
    options = {"lease_seconds": LEASE_SECONDS}
    with Connection(redis_url, transport="shared.transports.redis:Transport", transport_options=options) as connection:
        yield connection


@pytest.fixture
def taken(connection):
    """Messages that a consumer with room for two has taken; there are four."""
    channel = connection.default_channel
    queue = Queue(LIST, routing_key=LIST, channel=channel)
    for number in range(4):
        Producer(channel).publish({"number": number}, routing_key=LIST, declare=[queue])
    messages: list[Any] = []
    consumer = Consumer(channel, [queue], on_message=messages.append, prefetch_count=2)
    consumer.consume()
    consumer.qos(prefetch_count=2)
    while len(messages) < 2:
        connection.drain_events(timeout=10)
    return messages


def tags(messages):
    return sorted(message.delivery_tag.encode() for message in messages)


def test_what_ended_makes_room_for_the_next_and_is_settled(connection, redis_client, taken):
    taken[0].channel.settle_together(taken[:2])
    while len(taken) < 4:
        connection.drain_events(timeout=10)
    assert [message.payload["number"] for message in taken] == [0, 1, 2, 3]
    assert sorted(redis_client.hkeys(HELD)) == sorted(redis_client.zrange(LEASES, 0, -1)) == tags(taken[2:])


def test_what_ended_is_settled_though_the_server_dies_before_it_hears_of_it(redis_server, redis_client, taken):
    redis_server.kill()
    taken[0].channel.settle_together(taken[:2])
    redis_server.start()
    wait_for(lambda: redis_client.hlen(HELD) == 0, "the keeper of leases to settle it")
    assert redis_client.llen(LIST) == 2, "what was never taken"


def test_what_ended_when_nothing_more_is_claimed_is_settled_at_once(redis_client, taken):
    channel = taken[0].channel
    for tag in list(channel._consumers):
        channel.basic_cancel(tag)
    channel.settle_together(taken[:2])
    assert redis_client.hlen(HELD) == 0


def test_a_claim_whose_answer_nobody_reads_yet_is_kept(connection, redis_client, taken):
    channel, cycle = taken[0].channel, connection.transport.cycle
    channel.settle_together(taken[:2])
    cycle.on_poll_start()  # asks, and comes back only much later, as a loop does in which a task runs
    wait_for(lambda: redis_client.hlen(HELD) == 2 and redis_client.llen(LIST) == 0, "the server to hand out the next")
    ends = redis_client.time()[0] + 2 * LEASE_SECONDS
    wait_for(lambda: redis_client.time()[0] > ends, "the lease to run out")
    assert redis_client.llen(LIST) == 0, "it was given away"
    while len(taken) < 4:
        connection.drain_events(timeout=10)
    assert sorted(redis_client.hkeys(HELD)) == tags(taken[2:])
