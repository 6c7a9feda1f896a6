"""Chords end under kills: the body runs once, or the errback does, wherever the process dies that was to end them."""

from __future__ import annotations

from contextlib import ExitStack
from uuid import uuid4

import pytest
from celery import Signature, chain, chord, group
from kombu import Connection
from kombu.utils.json import loads

from shared.chords.listing import open_chords
from shared.chords.reopening import reopen
from shared.chords.scripts import CHORDS
from tests.chaos.chord_fleet import BROKERS as CHAOS_BROKERS
from tests.chaos.chord_fleet import ChordSetup, nobodys
from tests.chaos.chord_fleet import queue_of as chaos_queue_of
from tests.chaos.chords import Amount, Chords
from tests.chaos.databases import own_database
from tests.fixtures.brokers import environment
from tests.fixtures.workers import WorkerProcess
from tests.fleet.chording import (
    AFTER_END,
    BEFORE_END,
    BEFORE_REPORT,
    BROKERS,
    DIE_AT,
    app,
    left_by,
    mend,
    noted,
    queue_of,
)
from tests.fleet.inspection import wait_for

ENDS_WITHIN_SECONDS = 90.0
"""The machine may be busy."""
AMOUNT = Amount(chords=36, members=10, kills=10, deadline=20.0)


@pytest.fixture(autouse=True)
def here(brokers):
    """Let this process find the servers."""
    assert app.state.client.ping()


@pytest.fixture
def start(tmp_path):
    """Start workers of all queues or one; none is left after the test."""
    with ExitStack() as stack:

        def start_worker(broker, **variables):
            processes = 1 if DIE_AT in variables else 2  # so that nothing else dies with it
            with environment(variables):
                worker = WorkerProcess(
                    "tests.fleet.chording",
                    *(
                        f"-Q{queue_of(broker)}",
                        f"-c{processes}",
                        f"-n{uuid4().hex}@test",
                        "--without-mingle",
                        "--without-gossip",
                    ),
                    log=tmp_path / f"{uuid4().hex}.log",
                )
            stack.callback(worker.kill)
            return worker

        yield start_worker


@pytest.fixture(params=BROKERS)
def broker(request):
    return request.param


@pytest.fixture
def key():
    return uuid4().hex


def sig(broker, task, *args):
    return app.signature(f"chording.{task}", args, queue=queue_of(broker))


def ended(group_id):
    """Wait until nobody has to look after a chord any more."""
    wait_for(lambda: app.state.client.zscore(CHORDS, group_id) is None, "the chord to end", ENDS_WITHIN_SECONDS)


def settle(broker):
    """Wait for what is in a queue still."""
    for sent in [sig(broker, "echo", 1).apply_async() for _ in range(6)]:
        sent.get(timeout=ENDS_WITHIN_SECONDS)


def body_of(broker, key):
    return sig(broker, "body", key).on_error(sig(broker, "errback", key))


@pytest.mark.parametrize("member", ["echo", "early"])
@pytest.mark.parametrize("point", [BEFORE_REPORT, BEFORE_END, AFTER_END])
def test_body_runs_once_though_its_publisher_dies(start, broker, key, point, member):
    worker = start(broker, **{DIE_AT: point, "CHORDS_KEY": key})
    sent = chord([sig(broker, member, n) for n in range(3)], body_of(broker, key)).apply_async()
    wait_for(lambda: worker.process.poll() is not None, "the worker to die", ENDS_WITHIN_SECONDS)
    start(broker)
    assert sent.get(timeout=ENDS_WITHIN_SECONDS) == 3
    ended(sent.parent.id)
    settle(broker)
    assert noted(key) == ["body [0, 1, 2]"]


@pytest.mark.parametrize("point", [BEFORE_REPORT, BEFORE_END, AFTER_END])
def test_errback_runs_once_though_its_publisher_dies(start, broker, key, point):
    worker = start(broker, **{DIE_AT: point, "CHORDS_KEY": key})
    sent = chord([sig(broker, "echo", 1), sig(broker, "fail")], body_of(broker, key)).apply_async()
    wait_for(lambda: worker.process.poll() is not None, "the worker to die", ENDS_WITHIN_SECONDS)
    start(broker)
    wait_for(lambda: noted(key), "the errback", ENDS_WITHIN_SECONDS)
    ended(sent.parent.id)
    settle(broker)
    assert noted(key) == [f"errback {sent.id}"]


@pytest.mark.parametrize("kind", ["chain", "group", "chord"])
def test_bodies_of_several_messages_run_once(start, broker, key, kind):
    worker = start(broker, **{DIE_AT: AFTER_END, "CHORDS_KEY": key})
    part = sig(broker, "body", key)
    body = {
        "chain": chain(part, sig(broker, "echo")),
        "group": group(part, part.clone()),
        "chord": chord([part, part.clone()], sig(broker, "body", key)),
    }[kind]
    sent = chord([sig(broker, "echo", n) for n in range(3)], body).apply_async()
    wait_for(lambda: worker.process.poll() is not None, "the worker to die", ENDS_WITHIN_SECONDS)
    start(broker)
    assert sent.get(timeout=ENDS_WITHIN_SECONDS) == {"chain": 3, "group": [3, 3], "chord": 6}[kind]
    wait_for(lambda: not app.state.client.zcard(CHORDS), "all chords to end", ENDS_WITHIN_SECONDS)
    settle(broker)
    first = ["body [0, 1, 2]"]
    assert noted(key) == {"chain": first, "group": first * 2, "chord": [*first * 2, "body [3, 3]"]}[kind]


# What is replayed ----------------------------------------------------------------------------------------------------


def replay(key, value, *, after_a_look=False):
    """Let what waited for a call that failed wait for it again, and publish it again, as it was."""
    again = Signature.from_dict(loads(wait_for(lambda: left_by(key, value), "the call to fail")), app=app)
    follows = {name: again.options.get(name) for name in ("chain", "chord")}
    headers = {"id": again.options["task_id"], "group": again.options.get("group_id")}
    reopened = reopen(app, headers, follows)
    if after_a_look:  # what is known of the failure must not end the chord again
        wait_for(lambda: set(reopened) <= {each.id for each in open_chords(app, quiet_only=True)}, "a look at them")
    again.set(retries=0).apply_async()
    return reopened


def test_chord_goes_on_when_what_failed_is_replayed(start, broker, key):
    """It failed because of two members: the first replay alone does not mend it, and no errback runs again."""
    start(broker)
    header = [sig(broker, "echo", 1), *(sig(broker, "until_mended", n, key) for n in (2, 3))]
    sent = chord(header, body_of(broker, key)).apply_async()
    wait_for(lambda: noted(key), "the errback", ENDS_WITHIN_SECONDS)
    ended(sent.parent.id)
    mend(key)
    assert replay(key, 2) == [sent.parent.id]
    ended(sent.parent.id)
    mend(key, mended=False)
    assert replay(key, 3) == [sent.parent.id]
    ended(sent.parent.id)
    settle(broker)
    assert noted(key) == [f"errback {sent.id}"]
    mend(key)
    assert replay(key, 3) == [sent.parent.id]
    wait_for(lambda: len(noted(key)) > 1, "the body", ENDS_WITHIN_SECONDS)
    ended(sent.parent.id)
    assert replay(key, 3) == []
    settle(broker)
    assert noted(key) == [f"errback {sent.id}", "body [1, 2, 3]"]


@pytest.mark.parametrize("first", ["alone", "in a chain"])
def test_nested_chords_go_on_when_what_failed_is_replayed(start, broker, key, first):
    start(broker)
    failing = sig(broker, "until_mended", 2, key)
    member = failing if first == "alone" else chain(failing, sig(broker, "echo"))
    inner = chord([member, sig(broker, "echo", 1)], sig(broker, "body", f"{key}-inner"))
    sent = chord([inner, sig(broker, "echo", 4)], body_of(broker, key)).apply_async()
    wait_for(lambda: noted(key), "the errback", ENDS_WITHIN_SECONDS)
    ended(sent.parent.id)
    mend(key)
    assert len(replay(key, 2, after_a_look=True)) == 2
    wait_for(lambda: len(noted(key)) > 1, "the body", ENDS_WITHIN_SECONDS)
    ended(sent.parent.id)
    settle(broker)
    assert noted(f"{key}-inner") == ["body [1, 2]"]
    assert noted(key) == [f"errback {sent.id}", "body [3, 4]"]


# All at once ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def setup(brokers, tmp_path):
    """Databases and queues that are gone afterwards, and a folder for records."""
    records = tmp_path / "records"
    records.mkdir()
    rabbitmq = brokers["YARD_BROKER_BATCH_URL"]
    with ExitStack() as stack:
        broker, results, state = (
            stack.enter_context(own_database(brokers["YARD_BROKER_DEFAULT_URL"], number)) for number in (5, 6, 7)
        )
        yield ChordSetup(broker=broker, results=results, state=state, rabbitmq=rabbitmq, records=records)
    with Connection(rabbitmq) as connection:
        for name in (chaos_queue_of(CHAOS_BROKERS[1]), nobodys(CHAOS_BROKERS[1])):
            connection.default_channel.queue_delete(name)


def test_chords_of_every_kind_end_while_workers_are_killed(setup, tmp_path):
    """The short form of ``python -m tests.chaos chords``."""
    report = Chords(setup, tmp_path, AMOUNT, print).run()
    print("\n".join(report.lines()))
    assert report.kills >= AMOUNT.kills
    assert not report.broken, "\n".join([*report.lines(), *report.deaths])
