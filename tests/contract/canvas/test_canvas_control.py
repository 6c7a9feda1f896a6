"""What is asked of a canvas as a whole, or of its parts: to stop, to wait, to be in time, to be urgent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from celery import chain, chord, group
from celery.exceptions import TaskRevokedError

from shared.queues import Pool
from tests.fixtures.canvas import EACH_BROKER, TIMEOUT, Deal, canvas_workers, ends_as, result_of
from tests.fleet.canvas_tasks import BROKERS, app, noted, queue_of
from tests.fleet.inspection import wait_for

delays = pytest.mark.concept("eta, countdown, expires")
priorities = pytest.mark.concept("priority queues")
control = pytest.mark.concept("remote control")

SECONDS = 1.0
"""How long what is delayed waits."""


# Revoked ------------------------------------------------------------------------------------------------------------


def and_all_before(sent):
    while sent is not None:
        yield sent
        sent = sent.parent


def revoke(*sent):
    """Revoke, and wait until all workers know of it."""
    ids = {one.id for one in sent}
    app.control.revoke([*ids])
    for broker in BROKERS:
        wait_for(partial(knows, f"{broker}.{Pool.PREFORK}@canvas", broker, ids), f"the worker of {broker}", TIMEOUT)


def knows(node, broker, ids):
    with app.on_broker(broker):
        return ids <= {*app.control.inspect([node], timeout=TIMEOUT).revoked()[node]}


@control
def test_group_is_revoked_while_it_waits(deal):
    sent = group(deal.note(1, deal.key).set(countdown=SECONDS) for _ in range(3)).apply_async()
    sent.revoke()
    for one in sent:
        assert ends_as(one, "REVOKED")
    assert result_of(deal.echo("later").apply_async(countdown=SECONDS)) == "later"
    assert deal.notes(0) == []


@control
def test_chain_is_revoked_while_its_first_step_runs(deal):
    sent = chain(deal.hold(deal.key), deal.note(1, deal.key), deal.note(1, deal.key)).apply_async()
    assert wait_for(lambda: noted(deal.key) == ["holds"], "the first step to run", TIMEOUT)
    revoke(sent, sent.parent)
    deal.let_go()
    assert ends_as(sent.parent.parent, "SUCCESS")
    assert ends_as(sent.parent, "REVOKED")
    assert ends_as(sent, "REVOKED")
    assert deal.notes(1) == ["holds"]


@control
def test_chain_is_terminated(deal):
    sent = chain(deal.hold(deal.key), deal.note(1, deal.key)).apply_async()
    assert wait_for(lambda: noted(deal.key) == ["holds"], "the first step to run", TIMEOUT)
    for one in and_all_before(sent):
        one.revoke(terminate=True)
    assert ends_as(sent.parent, "REVOKED")
    assert ends_as(sent, "REVOKED")
    assert deal.notes(1) == ["holds"]


@control
@pytest.mark.parametrize("revoked", [1, 3], ids=["one member", "all members"])
def test_chord_of_which_members_are_revoked_fails(deal, revoked):
    header = [deal.note(1, deal.key).set(countdown=SECONDS) for _ in range(3)]
    sent = chord(header, deal.note(2, deal.key).on_error(deal.failed(deal.key))).apply_async()
    for one in sent.parent[:revoked]:
        one.revoke()
    assert ends_as(sent, "FAILURE")
    assert sorted(deal.notes(4 - revoked)) == sorted([sent.id] + ["1"] * (3 - revoked))


@control
def test_body_is_revoked(deal):
    sent = chord([deal.hold(deal.key), deal.echo(1)], deal.note(1, deal.key)).apply_async()
    assert wait_for(lambda: noted(deal.key) == ["holds"], "the header to run", TIMEOUT)
    revoke(sent)
    deal.let_go()
    assert ends_as(sent.parent[0], "SUCCESS")
    assert ends_as(sent, "REVOKED")
    assert deal.notes(1) == ["holds"]


# Delayed and expired ------------------------------------------------------------------------------------------------


def seconds_until_the_end_of(sent, started):
    return [(one.date_done - started).total_seconds() for one in getattr(sent, "results", [sent])]


@delays
def test_delayed_as_a_whole(deal):
    started = datetime.now(UTC)
    wholes = [
        chain(deal.add(1, 1), deal.add(1)),
        group(deal.add(1, 1), deal.add(1, 1)),
        chord([deal.add(1, 1), deal.add(1, 1)], deal.total()),
    ]
    sent = [whole.apply_async(countdown=SECONDS) for whole in wholes]
    assert [result_of(one) for one in sent] == [3, [2, 2], 4]
    for one in sent:
        assert min(seconds_until_the_end_of(one, started)) >= SECONDS


@delays
def test_delayed_in_each_place(deal):
    started = datetime.now(UTC)

    def late(sig):
        return sig.set(eta=started + timedelta(seconds=SECONDS))

    wholes = [
        chain(deal.add(1, 1), late(deal.add(1)), deal.add(1)),
        chord([deal.add(1, 1), late(deal.add(1, 1))], deal.total()),
        chord([deal.add(1, 1), deal.add(1, 1)], late(deal.total())),
        deal.replace(deal.add(1, 1).set(countdown=SECONDS)),
    ]
    sent = [whole.apply_async() for whole in wholes]
    sent.append(deal.add(1, 1).apply_async(link=late(deal.note(deal.key))))
    assert [result_of(one) for one in sent] == [4, 4, 4, 2, 2]
    for one in sent[:-1]:
        assert min(seconds_until_the_end_of(one, started)) >= SECONDS
    assert deal.notes(1) == ["2"]
    assert datetime.now(UTC) - started >= timedelta(seconds=SECONDS)


@delays
def test_expired_member_of_a_group(deal):
    sent = group(deal.add(1, 1), deal.add(1, 1).set(expires=-1)).apply_async()
    assert result_of(sent[0]) == 2
    with pytest.raises(TaskRevokedError, match="expired"):
        result_of(sent[1])


@delays
def test_expired_member_of_a_header_fails_its_chord(deal):
    header = [deal.add(1, 1), deal.add(1, 1).set(expires=-1)]
    sent = chord(header, deal.total().on_error(deal.failed(deal.key))).apply_async()
    assert ends_as(sent, "FAILURE")
    assert deal.notes(1) == [sent.id]


@delays
def test_expired_step_of_a_chain(deal):
    sent = chain(deal.add(1, 1), deal.note(deal.key).set(expires=-1), deal.note(deal.key)).apply_async()
    with pytest.raises(TaskRevokedError, match="expired"):
        result_of(sent)
    assert deal.notes(0) == []


@delays
def test_in_time(deal):
    header = [deal.add(1, 1), deal.add(1, 1).set(expires=60)]
    assert result_of(chord(header, deal.total().set(expires=60)).apply_async(expires=60)) == 4


# Urgent -------------------------------------------------------------------------------------------------------------


def urgency(sent):
    found = result_of(sent)
    return [one["priority"] for one in found] if isinstance(found, list) else found["priority"]


@priorities
def test_priority_of_a_call(deal):
    """That of a chain is its first step's, that of a group each member's, that of a chord everybody's."""
    steps = chain(deal.request(), deal.request(), deal.request().set(priority=7)).apply_async(priority=9)
    assert [urgency(one) for one in and_all_before(steps)] == [7, 4, 9]
    assert urgency(group(deal.request(), deal.request()).apply_async(priority=9)) == [9, 9]
    whole = chord([deal.request(), deal.request()], deal.request()).apply_async(priority=9)
    assert [urgency(one) for one in and_all_before(whole)] == [9, [9, 9]]


@priorities
def test_priority_of_a_part(deal):
    assert urgency(group(deal.request(), deal.request().set(priority=2)).apply_async()) == [4, 2]
    whole = chord([deal.request().set(priority=1), deal.request()], deal.request().set(priority=8)).apply_async()
    assert [urgency(one) for one in and_all_before(whole)] == [8, [1, 4]]


@priorities
def test_body_keeps_its_priority_in_a_chain(deal):
    """In stock Celery such a body has none."""
    whole = chord([deal.request(), deal.request().set(priority=1)], deal.request().set(priority=8))
    sent = chain(deal.echo(1), whole).apply_async()
    assert urgency(sent) == 8
    assert urgency(sent.parent) == [4, 1]


@pytest.fixture(scope="module")
def inheriting(workers, tmp_path_factory):
    """Workers with ``task_inherit_parent_priority``, beside the others."""
    nodes = [(broker, Pool.SOLO) for broker, _ in EACH_BROKER]
    with canvas_workers(tmp_path_factory.mktemp("inheriting"), nodes, "task.inherit_parent_priority=true"):
        yield


@priorities
def test_priority_is_inherited_if_one_says_so(inheriting, target):
    deal = Deal(queue_of(broker, Pool.SOLO) for broker in (target, *BROKERS))
    sent = chain(deal.request(), chord([deal.request(), deal.request()], deal.request()), deal.request())
    whole = sent.apply_async(priority=9)
    assert [urgency(one) for one in and_all_before(whole)] == [9, 9, [9, 9], 9]


def test_every_queue_is_empty():
    """Nothing of all that is left, or was published where nobody takes it."""
    for name, spec in app.queue_table.items():
        with app.connection_for_write(spec.broker) as connection:
            assert spec.queue.bind(connection.default_channel).queue_declare().message_count == 0, name
