"""No message stops a worker: what can't be understood is kept as a dead letter, and good work behind it is done."""

from __future__ import annotations

import random
from typing import Any

import pytest
from celery import chord, states
from celery.exceptions import NotRegistered

from shared.dead_letters import Reason, dead_letters
from shared.errors import BadMessage
from tests.fixtures import mishaps
from tests.fixtures.bad_messages import BAD, fuzzed, good_message, raw_garbage, send, unreadable
from tests.fleet.inspection import wait_for
from tests.fleet.mishaps import BROKERS, app, noted, queue_of

pytestmark = pytest.mark.usefixtures("afresh")

GOOD, FUZZED, SEED = 50, 20, 20261121


def known_bad(key: str, prefix: str) -> dict[str, dict]:
    messages = {}
    for kind, change in BAD.items():
        mark = f"{prefix}:{kind}"
        messages[mark] = good_message(key, mark)
        change(messages[mark])
    return messages


def beyond_messages(broker: str, mark: str, queue: str) -> dict[str, Any]:
    """What is not even a message to kombu, or to py-amqp."""
    return raw_garbage(mark, queue) if broker == "default" else unreadable(mark)


@pytest.mark.parametrize("broker", BROKERS)
def test_headers_too_deep_to_hand_to_a_child_end_no_worker(brokers, tmp_path, broker):
    """Pickle has a depth of its own, which is met after everything else was found good."""
    key, queue = f"deep-{broker}", queue_of(broker, "prefork")
    stamps: dict[str, Any] = {}
    for _ in range(300):
        stamps = {"in": stamps}
    deep = good_message(key, key)
    deep["headers"]["stamps"] = stamps
    send(broker, "prefork", deep)
    app.send_task("mishap.good", (key, "behind"), queue=queue, priority=0)
    with mishaps.worker(broker, "prefork", tmp_path, "-c2") as worker:
        wait_for(lambda: "behind" in noted(key), "the good task", 60)
        # Whole, as the body of an undecodable one: no database holds so many levels.
        kept = wait_for(
            lambda: [each.body for each in dead_letters(app, broker) if key.encode() in each.body], "it", 30
        )
        assert [b"nested more than 100 levels deep" in body for body in kept] == [True]
        assert worker.process.poll() is None


@pytest.mark.parametrize("pool", mishaps.POOLS)
@pytest.mark.parametrize("broker", BROKERS)
def test_good_work_behind_bad_messages_is_done(brokers, tmp_path, capsys, broker, pool):
    key, queue = f"good-{broker}-{pool}", queue_of(broker, pool)
    bad, beyond = known_bad(key, key), beyond_messages(broker, key, queue)
    chance = random.Random(SEED)
    random_ones = {f"{key}:fuzzed {number}": fuzzed(key, f"{key}:fuzzed {number}", chance) for number in range(FUZZED)}
    send(broker, pool, *bad.values(), *beyond.values(), *random_ones.values())
    for number in range(GOOD):
        app.send_task("mishap.good", (key, f"{number}"), queue=queue, priority=0)
    with mishaps.worker(broker, pool, tmp_path, "-c2") as worker:
        wait_for(lambda: {str(number) for number in range(GOOD)} <= set(noted(key)), f"{GOOD} good tasks", 60)
        letters = wait_for(lambda: enough(mishaps.letters(broker, queue), len(bad) + len(beyond)), "all letters", 30)
        assert worker.process.poll() is None
        accounted = [mark for mark, message in random_ones.items() if is_accounted(message, mark, key, letters)]
    marks = [(letter.headers or {}).get("mark", key) for letter in letters]  # what is beyond a message has no other
    found = [mark for mark in bad if mark in marks]
    kept_beyond = [mark for mark in marks if mark == key]
    with capsys.disabled():
        print(
            f"\n{broker} {pool}: {GOOD} of {GOOD} good tasks done; kept {len(found)} of {len(bad)} bad messages and "
            f"{len(kept_beyond)} of {len(beyond)} unreadable ones; {len(accounted)} of {FUZZED} fuzzed ones ended"
        )
    assert set(found) == set(bad)
    assert len(kept_beyond) == len(beyond)
    assert set(accounted) == set(random_ones)
    assert "Traceback" not in restarts(worker.output)


def enough(letters: list, at_least: int) -> list:
    return letters if len(letters) >= at_least else []


def is_accounted(message: dict, mark: str, key: str, letters: list) -> bool:
    """Tell whether a message was executed, is kept, or has a result that is final."""
    kept = any(mark == (letter.headers or {}).get("mark") for letter in letters)
    task_id = message["headers"].get("id")
    ended = isinstance(task_id, str) and task_id and app.AsyncResult(task_id).state in states.READY_STATES
    return kept or mark in noted(key) or bool(ended)


def restarts(log: str) -> str:
    """The lines in which a worker says that its loop broke."""
    return "\n".join(line for line in log.splitlines() if "Unrecoverable" in line or "Trying to re-establish" in line)


@pytest.mark.parametrize("broker", BROKERS)
def test_callers_and_chords_hear_of_a_message_that_is_kept(brokers, tmp_path, broker):
    queue = queue_of(broker, "solo")
    broken = good_message("heard", f"heard-{broker}")
    broken["headers"]["timelimit"] = "soon"
    send(broker, "solo", broken)
    header = [app.signature("mishap.good", ("heard", "1")), app.signature("mishap.renamed")]
    body = app.signature("mishap.gather", queue=queue)
    app.tasks.register(type("Renamed", (app.Task,), {"name": "mishap.renamed", "run": print})())
    try:
        result = chord([member.set(queue=queue) for member in header], app=app)(body)
    finally:
        app.tasks.unregister("mishap.renamed")
    with mishaps.worker(broker, "solo", tmp_path):
        with pytest.raises(BadMessage, match="timelimit"):
            app.AsyncResult(broken["headers"]["id"]).get(timeout=30)
        with pytest.raises(NotRegistered):
            app.AsyncResult(result.parent[1].id).get(timeout=30)
        with pytest.raises(Exception, match="renamed"):
            result.get(timeout=30)
    reasons = {letter.task: letter.reason for letter in mishaps.letters(broker, queue)}
    assert reasons["mishap.renamed"] is Reason.UNKNOWN_TASK


@pytest.mark.parametrize("broker", BROKERS)
def test_a_dead_letter_holds_all_of_the_message(brokers, tmp_path, broker):
    mark = f"whole-{broker}"
    sent = good_message("whole", mark)
    sent["headers"]["retries"] = "many"
    send(broker, "solo", sent)
    with mishaps.worker(broker, "solo", tmp_path):
        letter = wait_for(
            lambda: [one for one in mishaps.letters(broker, queue_of(broker, "solo")) if mark in str(one.headers)],
            "the letter",
        )[0]
    assert letter.headers == sent["headers"]
    assert letter.body.decode() == sent["body"]
    assert (letter.content_type, letter.content_encoding) == (sent["content-type"], sent["content-encoding"])
    assert letter.properties["correlation_id"] == mark
    assert (letter.id, letter.task, letter.broker) == (sent["headers"]["id"], "mishap.good", broker)
    assert letter.reason is Reason.BAD_MESSAGE
    assert "retries" in letter.detail
    assert "many" not in letter.detail
