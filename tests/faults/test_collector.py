"""Dead letters come into the ledger once each, whoever is killed on the way, and leave their brokers then."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.core.app import app
from services.core.collector import AT_ONCE, Collector
from services.core.ledger.dead_letters import LetterFilter
from services.core.usecases.letters import list_letters, the_letter
from shared.dead_letters import DeadLetter, Reason, dead_letters, keep
from shared.letter_boxes import open_letter_box
from shared.settings import child_environment
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for

BROKERS = ("default", "batch")


def letters(broker: str, count: int, name: str) -> list[DeadLetter]:
    ids = [f"{name}-{number}-{uuid4()}" for number in range(count)]
    return [
        DeadLetter(
            id=identity, task="t", queue=name, broker=broker, reason=Reason.FAILED, detail="why",
            headers={"id": identity}, body=b"[[], {}, {}]",
        )
        for identity in ids
    ]  # fmt: skip


def lying(broker: str, queue: str) -> list[str]:
    return [str(letter.id) for letter in dead_letters(app, broker) if letter.queue == queue]


def recorded(ledger, queue: str) -> list[str]:
    page = list_letters(ledger, LetterFilter(queue=queue, replayed=None), limit=1000)
    return [str(entry.task_id) for entry in page.entries]


def collect(broker: str, url, dies: str = "") -> int:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fleet.collecting", broker, url.get_secret_value(), dies],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=60, env=child_environment(),
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
    return done.returncode


@pytest.fixture
def empty(brokers):
    """Nothing among the dead letters, whatever other tests left."""
    for broker in BROKERS:
        box = open_letter_box(app, broker)
        while box.take(500):
            box.remove()
        box.close()


@pytest.mark.parametrize("step", ["taken", "recorded"])
@pytest.mark.parametrize("broker", BROKERS)
def test_a_collector_that_is_killed_loses_and_repeats_nothing(empty, ledger, ledger_url, broker, step):
    name = f"killed.{step}.{broker}"
    given = letters(broker, 5, name)
    for letter in given:
        keep(app, app.brokers[broker], letter)
    assert collect(broker, ledger_url, step) == -signal.SIGKILL
    assert len(recorded(ledger, name)) == (5 if step == "recorded" else 0)
    wait_for(lambda: len(lying(broker, name)) == 5, "the letters to be back on their broker")
    assert collect(broker, ledger_url) == 0
    assert sorted(recorded(ledger, name)) == sorted(str(letter.id) for letter in given)
    assert lying(broker, name) == []


@pytest.mark.parametrize("broker", BROKERS)
def test_collectors_at_the_same_time_record_each_letter_once(empty, ledger, broker):
    name = f"together.{broker}"
    given = letters(broker, AT_ONCE * 3 + 7, name)
    for letter in given:
        keep(app, app.brokers[broker], letter)
    collectors = [Collector(ledger, 10_000) for _ in range(3)]
    for collector in collectors:
        collector.start()
    try:
        wait_for(lambda: len(recorded(ledger, name)) == len(given), "all letters to be recorded", 30)
        wait_for(lambda: not lying(broker, name), "the broker to have none", 30)
    finally:
        for collector in collectors:
            collector.end()
    assert sorted(recorded(ledger, name)) == sorted(str(letter.id) for letter in given)


@pytest.mark.parametrize("broker", BROKERS)
def test_junk_among_the_letters_holds_nothing_up(empty, ledger, broker):
    name = f"junk.{broker}"
    [good] = letters(broker, 1, name)
    pool = app.amqp.pools[app.brokers[broker]]
    junk = [b"junk", b'{"body": 1}', b"\xff\xfe", b'{"queue": 7, "reason": "failed", "body": "", "body_encoding": "x"}']
    with pool.acquire(block=True) as producer:
        for each in junk:
            if broker == "default":
                producer.channel.client.lpush("fleet.dead", each)
            else:
                headers = {"x-death": "none", "id": ["a list"], "when": b"\xff"}
                producer.publish(each, exchange="", routing_key="fleet.dead", headers=headers)
    keep(app, app.brokers[broker], good)
    box = open_letter_box(app, broker)
    assert Collector(ledger, 10_000).collect(box) == len(junk) + 1
    assert box.take(10) == []
    box.close()
    assert recorded(ledger, name) == [good.id]
    assert len(recorded(ledger, "fleet.dead")) == len(junk)


REFUSING = {
    "sqlite": "CREATE TRIGGER refuses BEFORE INSERT ON dead_letters WHEN NEW.task = 'refused' "
    "BEGIN SELECT RAISE(ABORT, 'refused'); END",
    "postgresql": "ALTER TABLE dead_letters ADD CONSTRAINT refuses CHECK (task <> 'refused')",
}
"""What makes a ledger refuse one letter."""


def test_a_letter_that_the_ledger_refuses_holds_up_no_other_and_is_kept_whole(empty, ledger):
    name = "refused"
    first, bad, last = letters("default", 3, name)
    bad = replace(bad, task="refused")
    for letter in (first, bad, last):
        keep(app, app.brokers["default"], letter)
    with ledger.writing() as session:
        session.execute(text(REFUSING[session.get_bind().dialect.name]))
    box = open_letter_box(app, "default")
    assert Collector(ledger, 10_000).collect(box) == 3
    assert box.take(10) == []
    box.close()
    entries = list_letters(ledger, LetterFilter(queue=name), limit=10).entries
    assert [entry.task_id for entry in entries] == [first.id, None, last.id]
    assert DeadLetter.loads(the_letter(ledger, entries[1].number).letter.body) == bad
