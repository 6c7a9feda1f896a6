"""Chords that end, over all brokers: whatever becomes of a member, the body runs once or its errback does."""

from __future__ import annotations

import pytest
from celery import chain, chord, group
from celery.app.task import Context
from celery.exceptions import ChordError, CPendingDeprecationWarning

from shared.chords.listing import open_chords
from shared.chords.scripts import CHORDS
from tests.fixtures.canvas import ends_as, result_of
from tests.fleet.canvas_tasks import app, parked_on
from tests.fleet.inspection import wait_for

pytestmark = pytest.mark.concept("chain, group, chord, nested")

LATE_SECONDS = 600


@pytest.fixture(scope="module", autouse=True)
def earlier(brokers):
    """The chords that other tests have left, some of which lost a member on purpose."""
    return begun()


def begun():
    return set(app.state.client.zrange(CHORDS, 0, -1))


def late(deal):
    return deal.add(1, 1).set(countdown=LATE_SECONDS)


MEMBERS = {
    "a task that fails": lambda deal: deal.fail(),
    "a task that has expired": lambda deal: deal.add(1, 1).set(expires=-1),
    "a chain whose step fails": lambda deal: chain(deal.fail(), deal.add(1)),
    "a chain whose step has expired": lambda deal: chain(deal.add(1, 1).set(expires=-1), deal.add(1)),
    "a chain whose last step has expired": lambda deal: chain(deal.add(1, 1), deal.add(1).set(expires=-1)),
    "a chain that would end in a group": lambda deal: chain(deal.fail(), group(deal.add(1), deal.add(2))),
    "a chain that would end in a chord": lambda deal: chain(
        deal.fail(), chord([deal.add(1), deal.add(2)], deal.total())
    ),
    "a chain with a chord, whose step has expired": lambda deal: chain(
        deal.add(1, 1).set(expires=-1), chord([deal.add(1), deal.add(2)], deal.total()), deal.add(1)
    ),
    "a chord that fails": lambda deal: chord([deal.add(1, 1), deal.fail()], deal.total()),
    "a chord that fails, with a chain as its body": lambda deal: chord(
        [deal.add(1, 1), deal.fail()], chain(deal.total(), deal.add(1))
    ),
    "a chord that fails, with a group as its body": lambda deal: chord(
        [deal.add(1, 1), deal.fail()], group(deal.total(), deal.total())
    ),
    "a chord that fails, with a chord as its body": lambda deal: chord(
        [deal.add(1, 1), deal.fail()], chord([deal.total(), deal.total()], deal.total())
    ),
    "a chord whose body fails": lambda deal: chord([deal.add(1, 1), deal.add(1, 1)], deal.fail()),
    "a chord of a chord that fails": lambda deal: chord(
        [chord([deal.add(1, 1), deal.fail()], deal.total()), deal.add(1, 1)], deal.total()
    ),
    "a chain of a chord that fails": lambda deal: chain(
        chord([deal.add(1, 1), deal.fail()], deal.total()), deal.add(1), deal.add(1)
    ),
}


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_errback_runs_once_and_the_body_does_not(deal, member):
    body = deal.note("body", deal.key).on_error(deal.failed(deal.key))
    sent = chord([deal.add(1, 1), member(deal), deal.add(1, 1)], body).apply_async()
    assert ends_as(sent, "FAILURE")
    assert deal.notes(1) == [sent.id]


@pytest.mark.parametrize("body", ["task", "group"])
def test_an_errback_linked_to_a_chord_with_a_chord_in_its_header_runs_once(deal, body):
    """Celery links it to the inner chord as well, because there the outer one would not hear of its failure."""
    ends = {"task": deal.total, "group": lambda: group(deal.total(), deal.total())}[body]
    inner = chord([deal.add(1, 1), deal.fail()], ends())
    outer = chord([deal.add(1, 1), inner], deal.note("body", deal.key))
    with pytest.warns(CPendingDeprecationWarning, match="task_allow_error_cb_on_chord_header"):
        outer.link_error(deal.failed(deal.key))
    sent = outer.apply_async()
    assert ends_as(sent, "FAILURE")
    assert deal.notes(1) == [sent.id]


@pytest.mark.parametrize("place", ["alone", "first in a chain", "last in a chain"])
def test_revoked_member_ends_its_chord(deal, place):
    header = {
        "alone": [deal.add(1, 1), late(deal)],
        "first in a chain": [deal.add(1, 1), chain(late(deal), deal.add(1))],
        "last in a chain": [deal.add(1, 1), chain(deal.add(1, 1), deal.add(1).set(countdown=LATE_SECONDS))],
    }[place]
    sent = chord(header, deal.note("body", deal.key).on_error(deal.failed(deal.key))).apply_async()
    member = sent.parent[1]
    waiting = member.parent if place == "first in a chain" else member
    wait_for(lambda: app.delays.ids_of([waiting.id]), "the member to wait for its time")
    waiting.revoke()
    assert ends_as(sent, "FAILURE")
    assert deal.notes(1) == [sent.id]


@pytest.mark.parametrize("asked_by", ["call", "set", "chain"])
def test_deadline_ends_a_chord_whose_member_is_lost(deal, target, asked_by):
    """The member lies in a queue that nobody serves; when it comes later the body does not run."""
    lost = app.signature("canvas.add", (1, 1), queue=parked_on(target), immutable=True)
    whole = chord(
        [deal.add(1, 1).set(immutable=True), lost], deal.note("body", deal.key).on_error(deal.failed(deal.key))
    )
    if asked_by == "call":
        sent = whole.apply_async(deadline=2)
    elif asked_by == "set":
        sent = whole.set(deadline=2).apply_async()
    else:
        sent = chain(deal.echo(1), whole.set(deadline=2)).apply_async()
    assert ends_as(sent, "FAILURE")
    with app.connection_for_write(target) as connection:
        queue = app.queue_table[parked_on(target)].queue.bind(connection.default_channel)
        message = wait_for(lambda: queue.get(no_ack=True), "the lost message")
    with pytest.raises(
        ChordError, match=f"before its deadline of 2 s: 1 of 2 members are missing: {message.headers['id']}"
    ):
        sent.get(propagate=True, timeout=5)
    app.backend.on_chord_part_return(_request_of(message), "SUCCESS", 2)
    assert deal.notes(1) == [sent.id]


def _request_of(message):
    return Context({**message.headers, **message.payload[2]})


@pytest.mark.parametrize("seconds", [0, -1, "soon", True])
def test_a_deadline_that_is_none_is_refused(deal, seconds):
    with pytest.raises(ValueError, match="is a number of seconds above 0"):
        chord([deal.note(1, deal.key)], deal.total()).apply_async(deadline=seconds)
    assert deal.notes(0) == []


def test_a_default_deadline_waits_for_members_that_wait_for_their_time(deal, monkeypatch):
    monkeypatch.setitem(app.__dict__, "chord_deadline", 5.0)
    assert result_of(chord([deal.add(1, 1), deal.add(1, 1).set(countdown=6)], deal.total()).apply_async()) == 4


def test_open_chords_are_listed(deal, target):
    lost = app.signature("canvas.add", (1, 1), queue=parked_on(target))
    sent = chord([deal.add(1, 1), lost], deal.total()).apply_async(deadline=15)
    wait_for(lambda: [one.ended for one in open_chords(app) if one.id == sent.parent.id] == [1], "one member to end")
    found = wait_for(
        lambda: [one for one in open_chords(app, quiet_only=True) if one.id == sent.parent.id], "it to be quiet"
    )[0]
    assert (found.body, found.size, found.ended, found.missing) == ("canvas.total", 2, 1, (sent.parent[1].id,))
    with app.connection_for_write(target) as connection:
        app.queue_table[parked_on(target)].queue.bind(connection.default_channel).purge()
    assert ends_as(sent, "FAILURE")


def test_no_chord_is_left(earlier):
    """All that began here have ended."""
    wait_for(lambda: not begun() - earlier, "the chords to end", 60)
