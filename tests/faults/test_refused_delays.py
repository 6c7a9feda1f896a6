"""Delayed messages that their broker refuses when they are due: others go on, and none is lost."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager

import pytest
import redis

from services.core.local.brokers import LocalRedis
from shared.dead_letters import Reason, dead_letters
from shared.delays import refusals
from shared.delays.remote import NODE
from shared.errors import Undeliverable
from shared.queues import Pool
from shared.transports.claims import DEAD
from tests.fixtures.delays import fleet_with, forget_all, moving, state, waiting
from tests.fleet import tasks
from tests.fleet.app import app
from tests.fleet.inspection import ParkedMessages, messages, wait_for
from tests.fleet.tables import BROKERS, parked, served

TWO_BROKERS = pytest.mark.parametrize("broker", [BROKERS[0], BROKERS[2]])


@pytest.fixture(autouse=True)
def _no_leftovers(brokers):
    yield
    forget_all()


@contextmanager
def closed(broker, queue):
    """Have a broker refuse what is published to one queue, for as long as the block lasts."""
    with app.connection_for_write(broker) as connection:
        channel = connection.default_channel
        if broker == "batch":
            channel.queue_delete(queue)
            no_room = {"x-max-length": 0, "x-overflow": "reject-publish"}
            channel.queue_declare(queue, durable=True, auto_delete=False, arguments=no_room)
            try:
                yield
            finally:
                channel.queue_delete(queue)
        else:
            channel.client.set(queue, "no list")
            try:
                yield
            finally:
                channel.client.delete(queue)


def refused() -> dict[str, dict]:
    """What is said of the messages that were refused, by task."""
    listed = app.control.inspect([NODE], timeout=0.5).scheduled()[NODE]
    return {each["request"]["id"]: each["refused"] for each in listed if "refused" in each}


def times_refused(fleet) -> int:
    """How often the one message that waits for the default broker was refused."""
    [(_, refusal)] = fleet.delays.first(["default"], 2)
    return refusal.times if refusal else 0


def letters(broker) -> dict:
    return {letter.id: letter for letter in dead_letters(app, broker)}


@TWO_BROKERS
def test_those_that_are_refused_hold_up_no_other(brokers, broker):
    look, queue = ParkedMessages(app), served(broker, Pool.PREFORK)
    with closed(broker, queue):
        bad = {app.send_task("try.note", (1,), queue=queue, priority=0, countdown=0.1).id for _ in range(3)}
        good = {app.send_task("try.note", (1,), queue=parked(broker), countdown=0.2).id for _ in range(150)}
        with moving():
            wait_for(lambda: set(look.look()) >= good, "the others to arrive")
            said = wait_for(lambda: (found := refused()) and set(found) == bad and found, "refusals to be listed")
        assert all(refusal["times"] >= 1 and "did not take the message" in refusal["why"] for refusal in said.values())
        assert waiting() == len(bad)
    with moving():
        wait_for(lambda: waiting() == 0, "them to be moved, now that the queue takes them")
    assert {headers["id"] for headers in messages(app.brokers[broker], queue)} == bad


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
def test_one_that_breaks_the_connection_is_kept_as_a_dead_letter_and_holds_up_no_other(brokers):
    look = ParkedMessages(app)
    bad = app.send_task("try.note", (1,), queue=parked("batch"), countdown=0.1, headers={"own": "x" * 200_000})
    good = {app.send_task("try.note", (1,), queue=parked("batch"), countdown=0.2).id for _ in range(150)}
    with moving():
        wait_for(lambda: set(look.look()) >= good, "the others to arrive")
        with pytest.raises(Undeliverable, match="FRAME_ERROR"):
            bad.get(timeout=30)
        wait_for(lambda: waiting() == 0, "the table to be empty")
    assert letters("batch")[bad.id].headers["own"] == "x" * 200_000


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
@TWO_BROKERS
def test_one_that_is_refused_too_often_is_kept_as_a_dead_letter_and_has_failed(brokers, monkeypatch, broker):
    monkeypatch.setattr(refusals, "MOST_TRIES", 3)
    monkeypatch.setattr(refusals, "FIRST_PAUSE_SECONDS", 0.1)
    look, queue = ParkedMessages(app), served(broker, Pool.PREFORK)
    errback = tasks.note.si("failed").set(queue=parked(broker))
    with closed(broker, queue), moving():
        bad = app.send_task(
            "try.note", ("ä",), queue=queue, priority=0, countdown=0.1, compression="zlib", link_error=errback
        )
        with pytest.raises(Undeliverable, match="refused when it was due"):
            bad.get(timeout=30)
        wait_for(lambda: waiting() == 0, "the table to be empty")
        wait_for(look.look, "its errback")
    letter = letters(broker)[bad.id]
    assert (letter.task, letter.queue, letter.broker, letter.reason) == ("try.note", queue, broker, Reason.REFUSED)
    assert json.loads(letter.body)[:2] == [["ä"], {}]
    assert letter.headers["id"] == letter.properties["correlation_id"] == bad.id
    assert "compression" not in letter.headers


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
@TWO_BROKERS
def test_a_dead_letter_that_is_refused_stays_in_the_table(brokers, monkeypatch, broker):
    monkeypatch.setattr(refusals, "MOST_TRIES", 1)
    monkeypatch.setattr(refusals, "FIRST_PAUSE_SECONDS", 0.2)
    queue = served(broker, Pool.PREFORK)
    with closed(broker, queue):
        bad = app.send_task("try.note", (1,), queue=queue, priority=0, countdown=0.1)
        with closed(broker, DEAD), moving():
            wait_for(lambda: refused().get(bad.id, {}).get("times", 0) >= 2, "it to be tried again")
            assert bad.state == "PENDING"
        with moving():
            wait_for(lambda: waiting() == 0, "it to be kept")
        assert bad.id in letters(broker)


def test_a_full_broker_is_no_fault_of_the_messages(brokers, tmp_path):
    """Redis at its limit of memory refuses everything, so nothing counts as refused by itself."""
    with LocalRedis(tmp_path / "full") as server, fleet_with(default=server.url()) as own:
        sent = [own.send_task("try.parked_default", queue=parked("default"), countdown=0.1).id for _ in range(3)]
        with redis.Redis.from_url(server.url()) as client, moving(own):
            client.config_set("maxmemory", 1)
            with state() as table:
                wait_for(lambda: table.hlen("fleet.delayed.claims"), "a mover to try")
                wait_for(lambda: not table.hlen("fleet.delayed.claims"), "it to give up")
            assert waiting() == len(sent)
            assert not refused()
            client.config_set("maxmemory", 0)
            wait_for(lambda: waiting() == 0, "all to be moved")
        assert {headers["id"] for headers in messages(own.brokers["default"], parked("default"))} == set(sent)


@pytest.mark.parametrize(
    ("forbid", "allow"),
    [(("-lpush",), ("+lpush",)), (("resetkeys", "~fleet.*"), ("allkeys",))],
    ids=["command", "queue"],
)
def test_what_an_account_forbids_buries_no_message(brokers, tmp_path, monkeypatch, forbid, allow):
    monkeypatch.setattr(refusals, "MOST_TRIES", 2)
    monkeypatch.setattr(refusals, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(refusals, "LONGEST_PAUSE_SECONDS", 0.2)
    with LocalRedis(tmp_path / "strict") as server, fleet_with(default=server.url()) as own:
        sent = own.send_task("try.parked_default", queue=parked("default"), countdown=0.1).id
        with redis.Redis.from_url(server.url()) as client, moving(own):
            client.execute_command("ACL", "SETUSER", "default", *forbid)
            wait_for(lambda: times_refused(own) >= 4, "it to be tried more often than any message is")
            assert sent not in {letter.id for letter in dead_letters(own, "default")}
            client.execute_command("ACL", "SETUSER", "default", *allow)
            wait_for(lambda: waiting() == 0, "it to be moved")
        assert {headers["id"] for headers in messages(own.brokers["default"], parked("default"))} == {sent}


def test_one_whose_revoke_died_waits_for_its_time(brokers, monkeypatch):
    look = ParkedMessages(app)
    result = app.send_task("try.note", (1,), queue=parked("default"), countdown=3600)
    monkeypatch.setattr("shared.delays.table.LEASE_SECONDS", 0.1)
    claimed, _ = app.delays.claim(app.delays.ids_of([result.id]), "somebody who died")
    assert claimed
    at_once = app.send_task("try.note", (1,), queue=parked("default"), countdown=0.5)
    with moving():
        look.broker_of(at_once.id)
    assert result.id not in look.look()
    with state() as client:
        [(_, due)] = client.zrange("fleet.delayed.default", 0, -1, withscores=True)
    assert due > time.time() + 3000
