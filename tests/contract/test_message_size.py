"""What would grow without end is refused at its bound, before anything is sent and on every way of publishing."""

from __future__ import annotations

import pytest
from celery import chain, chord, group
from kombu.exceptions import EncodeError

from shared.bounds import Bounds
from shared.bulk import bulk
from shared.delays.producer import DelayFailed
from shared.errors import InvalidTable
from shared.message_size import MessageTooLarge
from shared.testing.recording import recording
from tests.fixtures.delays import forget_all, waiting
from tests.fleet.app import fleet
from tests.fleet.inspection import ParkedMessages
from tests.fleet.tables import BROKERS

MOST = 20_000
SECRET = "open-sesame"
LARGE = SECRET + "x" * MOST

each_broker = pytest.mark.parametrize("target", BROKERS)


@pytest.fixture
def bounded(brokers):
    with fleet(bounds=Bounds(message_bytes=MOST, delayed_tasks=2)) as app:
        ParkedMessages(app).look()
        yield app
        ParkedMessages(app).look()
        forget_all()


def in_bulk(signature):
    with bulk():
        signature.apply_async()


WAYS = {
    "delay": lambda large, _: large.delay(),
    "countdown": lambda large, _: large.apply_async(countdown=3600),
    "bulk": lambda large, _: in_bulk(large),
    "compressed too little": lambda large, _: large.clone(kwargs={"more": "\N{SNOWMAN}"}).apply_async(),
    "first of a chain": lambda large, small: chain(large, small).apply_async(),
    "later in a chain": lambda large, small: chain(small, large).apply_async(),
    "group": lambda large, _: group([large]).apply_async(),
    "member of a chord": lambda large, small: chord([large], small).apply_async(),
    "body of a chord": lambda large, small: chord([small], large).apply_async(),
    "callback": lambda large, small: small.clone(link=large).apply_async(link=large),
    "errback": lambda large, small: small.apply_async(link_error=large),
}


@each_broker
@pytest.mark.parametrize("way", WAYS)
def test_a_message_that_is_too_large_is_refused_on_every_way(bounded, target, way):
    large, small = (bounded.signature(f"try.parked_{target}", (value,)) for value in (LARGE, "small"))
    before = waiting()  # what other tests have left
    with pytest.raises(MessageTooLarge) as caught:
        WAYS[way](large, small)
    assert (caught.value.sent, isinstance(caught.value, EncodeError)) == ("no", True)
    told = str(caught.value)
    assert SECRET not in told
    assert SECRET not in repr(caught.value)
    for needed in (f"'try.parked_{target}'", f"{MOST} is the most", "YARD_MESSAGE_MAX_BYTES", "app.stored(value)"):
        assert needed in told
    assert (len(ParkedMessages(bounded).look()), waiting() - before) == (0, 0)


@each_broker
def test_it_is_the_size_on_its_way_that_counts(bounded, target):
    result = bounded.send_task(f"try.parked_{target}", (LARGE,), compression="gzip")
    assert ParkedMessages(bounded).headers_of(result.id)["compression"] == "application/x-gzip"


def test_up_to_the_bound_it_is_sent(bounded):
    def published(length: int) -> str:
        return str(bounded.send_task("try.parked_default", ("x" * length,)).id)

    with pytest.raises(MessageTooLarge, match=f"has {MOST + 1000} bytes") as caught:
        published(MOST + 1000 - overhead(bounded))
    assert caught.value.sent == "no"
    found = ParkedMessages(bounded)
    assert found.broker_of(published(MOST - overhead(bounded))) == "default"
    with pytest.raises(MessageTooLarge, match=f"has {MOST + 1} bytes"):
        published(MOST + 1 - overhead(bounded))


def overhead(app) -> int:
    """What the body of a task with one empty text takes."""
    with pytest.raises(MessageTooLarge) as caught:
        app.send_task("try.parked_default", ("x" * 10 * MOST,))
    return int(str(caught.value).split(" has ")[1].split()[0]) - 10 * MOST


@each_broker
def test_the_others_of_a_bulk_are_published_all_the_same(bounded, target):
    with bulk():
        first = bounded.send_task(f"try.parked_{target}", ("first",))
        with pytest.raises(MessageTooLarge):
            bounded.send_task(f"try.parked_{target}", (LARGE,))
        second = bounded.send_task(f"try.parked_{target}", ("second",))
    found = ParkedMessages(bounded)
    assert [found.broker_of(each.id) for each in (first, second)] == [target, target]


def test_the_first_protocol_has_the_same_bound(bounded):
    bounded.conf.task_protocol = 1
    with pytest.raises(MessageTooLarge):
        bounded.send_task("try.parked_batch", (LARGE,))


def test_a_recording_refuses_it_too(bounded):
    with recording(bounded) as published:
        with pytest.raises(MessageTooLarge):
            bounded.send_task("try.parked_batch", (LARGE,))
        bounded.send_task("try.parked_batch", ("small",))
    assert [task.args for task in published] == [["small"]]


def test_when_as_many_wait_for_their_time_as_may_a_further_one_is_refused(bounded):
    for _ in range(2):
        bounded.send_task("try.parked_batch", countdown=3600)
    with pytest.raises(DelayFailed, match=r"2 tasks wait .*YARD_DELAYED_MAX_TASKS.*; nothing was sent") as caught:
        bounded.send_task("try.parked_batch", countdown=3600)
    assert (caught.value.sent, waiting()) == ("no", 2)


@pytest.mark.parametrize("bound", ["message_bytes", "delayed_tasks"])
def test_a_bound_of_nothing_is_no_bound(bound):
    with pytest.raises(InvalidTable, match="at least 1"):
        Bounds(**{bound: 0})
