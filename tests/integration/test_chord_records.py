"""Records of chords: what is published again does not begin anew, and what can't be read ends all the same."""

from __future__ import annotations

from shutil import rmtree
from typing import Any
from uuid import uuid4

import pytest
from celery import chord, states

from services.core.app import app as core_app
from services.core.ledger.models import OutboxEntry
from services.core.outgoing import outgoing
from services.core.relay import publish
from shared.chords.ending import end, outcome
from shared.chords.record import Member
from shared.chords.scripts import CHORDS
from shared.chords.watch import ChordWatch
from shared.names import BrokerName, TaskName
from shared.results.large import LargeResults
from shared.storage import Storage
from tests.fleet.app import fleet
from tests.fleet.inspection import messages, wait_for
from tests.fleet.tables import parked

BROKERS = (BrokerName.DEFAULT, BrokerName.CRITICAL)
MEMBER, ERRBACK = (f"try.parked_{broker}" for broker in BROKERS)
LARGE = 1000 * "x"

core: Any = core_app


@pytest.fixture
def app(brokers, tmp_path):
    """A fleet whose large results lie in a folder of this test."""
    with fleet(large_results=LargeResults(Storage(tmp_path / "storage"), inline_bytes=100)) as own:
        own.state.client.delete(CHORDS)
        yield own
        for broker in BROKERS:
            messages(own.brokers[broker], parked(broker))


def published(app, deadline: float) -> tuple[str, list[str]]:
    """Publish a chord of two members; return its id and theirs."""
    body = app.signature(MEMBER).on_error(app.signature(ERRBACK))
    header = chord([app.signature(MEMBER), app.signature(MEMBER)], body).apply_async(deadline=deadline).parent
    return header.id, [member.id for member in header.results]


def claimed(app, chord_id: str, *members: str) -> str:
    """Report large results of all members; return the token of the claim."""
    token = uuid4().hex
    outcomes = {
        Member(task_id, place): outcome(app.backend, states.SUCCESS, LARGE) for place, task_id in enumerate(members)
    }
    assert app.chords.report(chord_id, outcomes, token) == "claimed"
    return token


def calls(app, broker: BrokerName) -> list[str]:
    return [message["task"] for message in messages(app.brokers[broker], parked(broker))]


def is_open(app, chord_id: str) -> bool:
    return app.state.client.zscore(CHORDS, chord_id) is not None


def test_a_chord_that_a_killed_relay_had_published_does_not_begin_anew(app):
    def task(name: TaskName):
        return core.signature(name.value, immutable=True)

    canvas = chord([task(TaskName.CORE_CLEAN_LEDGER) for _ in range(2)], task(TaskName.CORE_CLEAN_HISTORY))
    entry = OutboxEntry(subject="job", signature=outgoing("job", canvas).signature)
    publish(entry)
    [chord_id] = (each.decode() for each in core.state.client.zrange(CHORDS, 0, -1))
    members = core.chords.load(chord_id).task_ids
    end(core, chord_id, claimed(core, chord_id, *members))
    queue = core.routing.queue(TaskName.CORE_CLEAN_HISTORY)
    ran = [TaskName.CORE_CLEAN_LEDGER] * 2 + [TaskName.CORE_CLEAN_HISTORY]
    assert sorted(each["task"] for each in messages(core.brokers[core.routing.owner(queue)], queue)) == sorted(ran)
    publish(entry)
    assert not is_open(core, chord_id)
    assert core.chords.load(chord_id) is None
    messages(core.brokers[core.routing.owner(queue)], queue)


def test_a_chord_whose_results_can_not_be_read_fails_after_its_deadline(app, tmp_path):
    chord_id, members = published(app, deadline=3)
    token = claimed(app, chord_id, *members)
    rmtree(tmp_path / "storage")
    end(app, chord_id, token)
    assert is_open(app, chord_id)
    wait_for(lambda: app.chords.now() > app.chords.load(chord_id).deadline, "the deadline")
    end(app, chord_id, token)
    assert not is_open(app, chord_id)
    assert calls(app, BrokerName.CRITICAL) == [ERRBACK]
    assert calls(app, BrokerName.DEFAULT) == [MEMBER] * 2


def test_the_watch_looks_after_all_chords_whatever_is_wrong_with_one(app, tmp_path):
    unreadable, members = published(app, deadline=0.5)
    for task_id in members:
        app.backend.store_result(task_id, LARGE, states.SUCCESS)
    rmtree(tmp_path / "storage")
    unknown, _ = published(app, deadline=1)
    wait_for(lambda: app.chords.now() > app.chords.load(unknown).deadline, "the deadline")
    ChordWatch(app).look()
    assert not is_open(app, unreadable)
    assert not is_open(app, unknown)
    assert calls(app, BrokerName.CRITICAL) == [ERRBACK] * 2


def test_the_watch_goes_on_behind_a_chord_whose_record_can_not_be_read(app):
    broken, _ = published(app, deadline=0.5)
    app.state.client.hset(f"fleet.chord:{broken}", "members", "no JSON")
    other, _ = published(app, deadline=1)
    wait_for(lambda: app.chords.now() > app.chords.load(other).deadline, "the deadline")
    ChordWatch(app).look()
    assert not is_open(app, other)
