"""Messages that are filled in are those of the full way, byte for byte in all that a worker or a monitor reads."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
import redis
from celery import chord, group
from celery.signals import after_task_publish, before_task_publish
from kombu import Connection
from kombu.exceptions import EncodeError

from shared.brokers import BrokerKind
from shared.bulk import bulk, publish_many
from shared.celery_app import FleetCelery
from shared.errors import InvalidPriority
from shared.message_size import MessageTooLarge
from shared.names import BrokerName
from shared.priorities import MOST_URGENT, Priority
from shared.producers import PublishFailed
from shared.transports.redis import Channel
from tests.fleet.app import fleet
from tests.fleet.inspection import messages
from tests.fleet.tables import parked

KINDS = (BrokerName.CRITICAL, BrokerName.BATCH)
OF_EACH = {"published_at", "delivery_tag", "timestamp"}
"""In which two messages of one call differ."""


class WatchedFleet(FleetCelery):
    """Counts the publishes that went the full way."""

    full_ways = 0

    def producer_or_acquire(self, producer=None):
        self.full_ways += 1
        return super().producer_or_acquire(producer)


@pytest.fixture(params=KINDS)
def target(request, brokers):
    return request.param


@pytest.fixture
def app(target):
    with fleet(of=WatchedFleet) as own:
        empty(own, target)
        yield own
        empty(own, target)


def empty(app, target):
    with app.connection_for_write(target) as connection:
        app.queue_table[parked(target)].queue.bind(connection.default_channel).declare()
    messages(app.brokers[target], parked(target))


def taken(app, target):
    """Take all messages out of the parked queue of a broker, whole."""
    broker, queue = app.brokers[target], parked(target)
    url = broker.url.get_secret_value()
    if broker.kind is BrokerKind.REDIS:
        with redis.Redis.from_url(url, decode_responses=True) as client:
            keys = [f"{queue}{Channel.sep}{step}" for step in range(MOST_URGENT, 0, -1)] + [queue]
            return [from_redis(raw) for key in keys for raw in reversed(popped(client, key))]
    with Connection(url) as connection, connection.channel() as channel:
        found = []
        while message := channel.basic_get(queue, no_ack=True):
            properties = {**message.properties, "headers": None, "application_headers": None}
            body = message.body if isinstance(message.body, str) else bytes(message.body).decode()
            found.append(as_one(message.headers, properties, body))
        return found


def popped(client, key):
    raw = client.lrange(key, 0, -1)
    client.delete(key)
    return raw


def from_redis(raw):
    message = json.loads(raw)
    rest = {name: value for name, value in message.items() if name not in ("headers", "properties", "body")}
    return as_one(message["headers"], {**message["properties"], **rest}, b64decode(message["body"]).decode())


def as_one(headers, properties, body):
    assert headers["published_at"] > 0
    both = {**{f"header {name}": value for name, value in headers.items()}, **properties, "body": json.loads(body)}
    return {name: value for name, value in both.items() if name.removeprefix("header ") not in OF_EACH}


@contextmanager
def somebody_listens():
    """Have every publish go the full way."""

    def listener(**_):
        pass

    before_task_publish.connect(listener)
    try:
        yield
    finally:
        before_task_publish.disconnect(listener)


SIGNATURE = {
    "task": "x", "args": [1], "kwargs": {"ä": None}, "options": {"task_id": "x"}, "subtask_type": None,
    "immutable": False,
}  # fmt: skip
CALLS = {
    "nothing": {},
    "arguments": {"args": (1, "zwei", [3.5, None, True]), "kwargs": {"four": {"five": "sechs"}}},
    "text of all kinds": {"args": ("Grüße, \"quoted\" and 'quoted' \\ \x00 \n 😀 </script>",), "kwargs": {"ß": "€"}},
    "many arguments": {"args": [list(range(1000))], "kwargs": {"long": "x" * 3000}},
    "times and ids": {"args": (datetime(2026, 1, 2, tzinfo=UTC), UUID(int=5), Decimal("1.50"))},
    "deep": {"args": ([[[[[[1]]]]]],)},
    "a priority": {"priority": 9},
    "no priority": {"priority": 0},
    "a priority by name": {"priority": Priority.HIGH},
    "its own id": {"task_id": "mine/ü"},
    "a member of a group": {"group_id": "g", "group_index": 7, "root_id": "r", "parent_id": "p", "reply_to": "me"},
    "time limits": {"time_limit": 60, "soft_time_limit": 50.5},
    "its result is ignored": {"ignore_result": True},
    "another name": {"shadow": "somebody"},
    "who waits": {"reply_to": "somebody-else"},
    "a retry": {"retries": 2},
    "a callback": {"link": SIGNATURE},
    "callbacks": {"link": [SIGNATURE, SIGNATURE], "link_error": SIGNATURE},
    "a chain": {"chain": [SIGNATURE, SIGNATURE], "link_error": []},
    "all that may follow": {"link": SIGNATURE, "chain": [SIGNATURE], "chord": SIGNATURE, "group_id": "g"},
    "a given exchange": {"exchange": "", "routing_key": None},
}


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in CALLS.items()])
def test_it_is_the_message_of_the_full_way(app, target, call):
    given = {"task_id": "one", "reply_to": "me", **call}
    app.send_task(f"try.parked_{target}", **given)
    ways = app.full_ways
    app.send_task(f"try.parked_{target}", **given)
    assert app.full_ways == ways, "the second went the full way, too"
    with somebody_listens():
        app.send_task(f"try.parked_{target}", **given)
    with bulk():
        app.send_task(f"try.parked_{target}", **given)
    assert app.full_ways == ways + 1
    first, filled, full, together = taken(app, target)
    assert filled == full
    assert first == full
    assert together == full


UNUSUAL = {
    "an expiry": {"expires": 60},
    "headers": {"headers": {"of": "mine"}},
    "stamps": {"stamped_headers": ["a"], "a": "b"},
    "compression": {"compression": "gzip"},
    "a delay": {"countdown": 60},
    "a policy": {"retry_policy": {"max_retries": 1}},
}


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in UNUSUAL.items()])
def test_what_is_unusual_goes_the_full_way(app, target, call):
    for expected in (1, 2, 3):
        app.send_task(f"try.parked_{target}", (1,), **call)
        assert app.full_ways == expected


def test_who_listens_hears_of_every_message(app, target):
    heard = []

    def before(headers=None, **_):
        headers["heard"] = "of"
        heard.append("before")

    def after(**_):
        heard.append("after")

    app.send_task(f"try.parked_{target}")
    before_task_publish.connect(before)
    after_task_publish.connect(after)
    try:
        app.send_task(f"try.parked_{target}")
    finally:
        before_task_publish.disconnect(before)
        after_task_publish.disconnect(after)
    assert heard == ["before", "after"]
    assert [message.get("header heard") for message in taken(app, target)] == [None, "of"]


def test_refusals_stay_the_same(app, target):
    task = f"try.parked_{target}"
    for priority in (1, 1):
        app.send_task(task, priority=priority)
    with pytest.raises(InvalidPriority):
        app.send_task(task, priority=True)
    loop: list = []
    loop.append(loop)
    for wrong in (object(), loop):
        with pytest.raises(EncodeError):
            app.send_task(task, (wrong,), priority=1)
    with pytest.raises(MessageTooLarge):
        app.send_task(task, ("x" * app.bounds.message_bytes,), priority=1)
    with pytest.raises(TypeError):
        app.send_task(task, "text", priority=1)
    assert len(taken(app, target)) == 2


def test_a_router_that_is_a_function_is_asked_each_time(target):
    asked = []
    with fleet() as own:
        own.conf.task_routes = (lambda name, *_, **__: asked.append(name),)
        for _ in range(3):
            own.send_task(f"try.parked_{target}")
        assert len(asked) == 3
        taken(own, target)


def test_settings_that_change_hold_at_once(app, target):
    for levels in (3, 1):
        app.conf.task_repr_maxlevels = levels
        for _ in range(2):
            app.send_task(f"try.parked_{target}", ([[["deep"]]],))
    shown = [message["header argsrepr"] for message in taken(app, target)]
    assert shown[0] == shown[1] != shown[2] == shown[3]


def test_a_task_that_begins_to_hide_its_arguments_does_so_at_once(target, monkeypatch):
    with fleet() as own:
        own.task(name=f"try.parked_{target}", shared=False)(hidden)
        task = own.tasks[f"try.parked_{target}"]
        for hides in (False, True):
            monkeypatch.setattr(task, "hide_arguments", hides, raising=False)
            for _ in range(2):
                task.delay("a-password")
        shown = [message["header argsrepr"] for message in taken(own, target)]
        assert shown == ["('a-password',)"] * 2 + ["(hidden)"] * 2


def hidden(password):
    """Nobody runs it."""


def test_a_child_says_that_it_is_another_process(app, target):
    for _ in range(2):
        app.send_task(f"try.parked_{target}")
    child = os.fork()
    if not child:
        try:
            for _ in range(2):
                app.send_task(f"try.parked_{target}")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    origins = [message["header origin"].partition("@")[0] for message in taken(app, target)]
    assert origins == [f"gen{os.getpid()}"] * 2 + [f"gen{child}"] * 2


@pytest.mark.parametrize("tree", ["group", "chord", "publish_many"])
def test_members_are_those_that_the_full_way_makes(app, target, tree):
    task = app.signature(f"try.parked_{target}")

    def sent(suffix):
        members = [task.clone((n,), task_id=f"{n}") for n in range(4)]
        if tree == "group":
            group(members).apply_async(task_id="g")
        elif tree == "chord":
            chord(members, task.clone(task_id=f"body{suffix}"), task_id=f"g{suffix}").apply_async()
        else:
            publish_many(members)
        return [without_ids_of_the_chord(message) for message in taken(app, target)]

    filled = sent(1)
    with somebody_listens():
        full = sent(2)
    assert len(filled) == 4
    assert filled == full


def without_ids_of_the_chord(message):
    """The id of a chord is new each time; what its members carry of the body is compared."""
    body = message["body"][2]["chord"] or {"options": {}}
    for name in ("task_id", "group_id", "reply_to", "headers"):
        body["options"].pop(name, None)
    return {name: value for name, value in message.items() if name not in ("header group", "reply_to")}


def test_of_a_batch_that_is_refused_in_part_it_is_known_what_is_there(app, target):
    """RabbitMQ sends back what no queue takes; Redis refuses a list whose key is something else."""
    task, broker = f"try.parked_{target}", app.brokers[target]
    for _ in range(2):
        app.send_task(task, priority=3)
    there = len(taken(app, target))
    assert there == 2
    url = broker.url.get_secret_value()
    if broker.kind is BrokerKind.REDIS:
        with redis.Redis.from_url(url) as client:
            key = f"{parked(target)}{Channel.sep}3"
            client.set(key, "no list")
            try:
                failed, ids = refused_in_part(app, task)
            finally:
                client.delete(key)
        assert failed.unsent == tuple(ids[1::2])
        assert {message["header id"] for message in taken(app, target)} == set(ids[::2])
    else:
        with Connection(url) as connection:
            connection.default_channel.queue_delete(parked(target))
        failed, ids = refused_in_part(app, task)
        assert failed.unsent == tuple(ids)
    assert failed.unknown == ()


def refused_in_part(app, task):
    signatures = [app.signature(task, priority=3 if n % 2 else 4, task_id=f"id{n}") for n in range(10)]
    with pytest.raises(PublishFailed) as raised:
        publish_many(signatures)
    return raised.value, [signature.id for signature in signatures]
