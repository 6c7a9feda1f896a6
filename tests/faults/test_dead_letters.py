"""What fails for good, comes too late, or is lost after its acknowledgement is kept whole, and runs again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from celery import chain, chord, group, states
from celery.exceptions import TaskRevokedError

from shared.dead_letters import DeadLetter, Reason
from shared.errors import PoisonTask
from shared.replaying import NotReplayable, arguments_of, edited_body, message_of, publish_again
from shared.worker.keeping import is_full, keep_instead
from tests.fixtures import mishaps
from tests.fixtures.bad_messages import good_message
from tests.fixtures.bad_messages import send as send_raw
from tests.fleet.failing import mend
from tests.fleet.inspection import wait_for
from tests.fleet.mishaps import BROKERS, app, noted, queue_of

pytestmark = pytest.mark.usefixtures("afresh")

APP = "tests.fleet.failing"
DEEPLY = 2000
"""Headers nested so deeply can't be written down."""


def send(task: str, *args, queue: str, **options):
    return app.send_task(f"failing.{task}", args, queue=queue, priority=3, **options)


def worker(broker: str, pool: str, folder, *arguments: str):
    return mishaps.worker(broker, pool, folder, *arguments, app=APP)


def kept(broker: str, queue: str, task_id: str) -> list:
    return [letter for letter in mishaps.letters(broker, queue) if letter.id == task_id]


def the_letter(broker: str, queue: str, task_id: str):
    [letter] = wait_for(lambda: kept(broker, queue, task_id), "the dead letter", 30)
    return letter


def stored(task_id: str) -> str:
    """The state of a task in the store, and not in the memory of this process."""
    return str(app.backend.get_task_meta(task_id, cache=False)["status"])


def replay(letter, number: int = 1, **options) -> None:
    message = json.loads(json.dumps(message_of(letter, number, datetime.now(UTC), **options)))
    publish_again(app, message, f"test-{letter.id}-{number}")


@pytest.mark.parametrize("pool", mishaps.POOLS)
@pytest.mark.parametrize("broker", BROKERS)
def test_a_failure_is_kept_whole(brokers, tmp_path, broker, pool):
    key, queue = f"fails-{broker}-{pool}", queue_of(broker, pool)
    with worker(broker, pool, tmp_path):
        failing = send("until_mended", key, "ä", queue=queue, headers={"campaign": "spring"})
        with pytest.raises(ValueError, match="not mended"):
            failing.get(timeout=60)
        letter = the_letter(broker, queue, failing.id)
    assert (letter.reason, letter.task, letter.broker) == (Reason.FAILED, "failing.until_mended", broker)
    assert letter.detail == f"ValueError: {key} is not mended"
    assert letter.traceback
    assert "in until_mended" in letter.traceback
    assert arguments_of(letter)[0] == [key, "ä"]
    assert letter.header("root_id") == failing.id
    assert letter.headers["campaign"] == "spring"
    assert "delivery_info" not in letter.headers
    assert noted(key) == ["0 ä"]


@pytest.mark.parametrize("broker", BROKERS)
def test_every_kind_of_end_is_kept_once_and_nothing_else(brokers, tmp_path, broker):
    queue, prefix = queue_of(broker, "prefork"), f"ends-{broker}"
    with worker(broker, "prefork", tmp_path, "-c2"):
        ends = {
            "retried": send("retried", f"{prefix}-retried", queue=queue),
            "rejected": send("rejected", f"{prefix}-rejected", queue=queue),
            "early": send("early", f"{prefix}-early", queue=queue),
            "by_hand": send("by_hand", f"{prefix}-by-hand", queue=queue),
            "killed_early": send("killed_early", f"{prefix}-killed", queue=queue),
            "too_long": send("too_long", f"{prefix}-long", queue=queue),
            "until_mended": send(
                "until_mended", f"{prefix}-late", queue=queue, expires=datetime.now(UTC) - timedelta(hours=1)
            ),
        }
        ignored = send("ignored", f"{prefix}-ignored", queue=queue)
        quiet = send("quiet", f"{prefix}-quiet", queue=queue)
        letters = {name: the_letter(broker, queue, result.id) for name, result in ends.items()}
        with pytest.raises(TaskRevokedError):
            ends["until_mended"].get(timeout=30)
        with pytest.raises(ValueError, match="quiet"):
            quiet.get(timeout=30)
        wait_for(lambda: noted(f"{prefix}-ignored"), "the task that ignores")
        good = app.send_task("mishap.good", (f"{prefix}-good", "1"), queue=queue, priority=0)
        assert good.get(timeout=30) == "1"
    reasons = {name: letter.reason for name, letter in letters.items()}
    assert reasons == {
        **dict.fromkeys(ends, Reason.FAILED),
        "killed_early": Reason.LOST,
        "until_mended": Reason.EXPIRED,
    }
    assert letters["retried"].headers["retries"] == 1
    assert "TimeLimitExceeded" in letters["too_long"].detail
    assert not kept(broker, queue, ignored.id)
    assert not kept(broker, queue, quiet.id)
    assert not kept(broker, queue, good.id)
    assert noted(f"{prefix}-late") == []


@pytest.mark.parametrize("broker", BROKERS)
def test_what_a_dead_worker_had_acknowledged_is_kept_by_another(brokers, tmp_path, broker):
    key, queue = f"worker-lost-{broker}", queue_of(broker, "solo")
    lost = send("worker_killed_early", key, queue=queue)
    with mishaps.worker(broker, "solo", tmp_path, app=APP, ready=False) as dying:
        wait_for(lambda: dying.process.poll() is not None, "the worker to die", 30)
    with worker(broker, "threads", tmp_path):
        letter = the_letter(broker, queue, lost.id)
    assert letter.reason is Reason.LOST
    assert arguments_of(letter)[0] == [key]
    assert letter.headers["task"] == "failing.worker_killed_early"
    assert not {"args", "kwargs", "delivery_info", "execution"} & letter.headers.keys()


@pytest.mark.parametrize("broker", BROKERS)
def test_a_replayed_step_carries_on_its_workflow(brokers, tmp_path, broker):
    key, queue = f"chain-{broker}", queue_of(broker, "threads")
    steps = chain(
        app.signature("failing.until_mended", (key, "value"), queue=queue),
        app.signature("failing.step", (f"{key}-next",), queue=queue),
    )
    steps.stamp(colour="red")
    with worker(broker, "threads", tmp_path):
        result = steps.apply_async()
        with pytest.raises(ValueError, match="not mended"):
            result.parent.get(timeout=30)
        letter = the_letter(broker, queue, result.parent.id)
        assert letter.headers["stamps"] == {"colour": "red"}
        replay(letter, 41)
        again = wait_for(lambda: len(found := kept(broker, queue, result.parent.id)) == 2 and found, "a second letter")
        [second] = [each for each in again if each.replays]
        assert (second.replay_of, second.replays) == (41, 1)
        assert second.digest != letter.digest
        mend(key)
        replay(second, 42)
        wait_for(lambda: stored(result.parent.id) == states.SUCCESS, "the replay to succeed", 30)
        wait_for(lambda: stored(result.id) == states.SUCCESS, "the next step", 30)
    assert noted(key) == ["0 value"] * 3
    assert noted(f"{key}-next") == ["value red"]


@pytest.mark.parametrize("broker", BROKERS)
def test_an_expired_one_is_replayed_without_its_expiry_also_in_the_same_worker(brokers, tmp_path, broker):
    key, queue = f"expired-{broker}", queue_of(broker, "solo")
    mend(key)
    with worker(broker, "solo", tmp_path):
        late = send("until_mended", key, queue=queue, expires=datetime.now(UTC) - timedelta(hours=1))
        letter = the_letter(broker, queue, late.id)
        replay(letter)
        wait_for(lambda: stored(late.id) == states.SUCCESS, "the replay to succeed", 30)


@pytest.mark.parametrize("broker", BROKERS)
def test_replayed_poison_has_all_its_tries_again(brokers, tmp_path, broker):
    key, queue = f"poison-again-{broker}", queue_of(broker, "prefork")
    with worker(broker, "prefork", tmp_path, "-c1"):
        deadly = app.send_task("mishap.kill_process", (key,), queue=queue, priority=0)
        with pytest.raises(PoisonTask):
            deadly.get(timeout=60)
        letter = the_letter(broker, queue, deadly.id)
        replay(letter)
        wait_for(lambda: len(kept(broker, queue, deadly.id)) == 2, "a second letter", 60)
    assert len(noted(key)) == 6


@pytest.mark.parametrize("broker", BROKERS)
def test_a_replayed_member_has_its_group_and_chord(brokers, tmp_path, broker):
    key, queue = f"member-{broker}", queue_of(broker, "threads")
    header = group(
        app.signature("failing.until_mended", (key, "1"), queue=queue),
        app.signature("mishap.good", (f"{key}-good", "2"), queue=queue),
    )
    with worker(broker, "threads", tmp_path):
        result = chord(header, app=app)(app.signature("mishap.gather", queue=queue))
        member = result.parent[0]
        letter = the_letter(broker, queue, member.id)
        assert letter.header("group") == result.parent.id
        assert arguments_of(letter)[2]["chord"]["task"] == "mishap.gather"
        mend(key)
        replay(letter)
        wait_for(lambda: stored(member.id) == states.SUCCESS, "the stored failure to be replaced", 30)
        wait_for(lambda: stored(result.id) == states.SUCCESS, "the body to run after all", 30)


@pytest.mark.parametrize("broker", BROKERS)
def test_a_replay_that_is_published_again_after_its_end_has_an_end(brokers, tmp_path, broker):
    """As by a relay whose predecessor was killed when the replay was published, and noted nowhere."""
    key, queue = f"again-{broker}", queue_of(broker, "threads")
    with worker(broker, "threads", tmp_path):
        failing = send("until_mended", key, "value", queue=queue)
        message = message_of(the_letter(broker, queue, failing.id), 1, datetime.now(UTC))
        publish_again(app, message, f"again-{failing.id}")
        wait_for(lambda: len(kept(broker, queue, failing.id)) == 2, "the replay to fail", 30)
        wait_for(lambda: stored(failing.id) == states.FAILURE, "the new failure", 30)
        publish_again(app, message, f"again-{failing.id}")
        wait_for(lambda: stored(failing.id) == states.FAILURE, "its end", 10)


@pytest.mark.parametrize("broker", BROKERS)
def test_an_edited_one_runs_with_other_arguments(brokers, tmp_path, broker):
    key, queue = f"edited-{broker}", queue_of(broker, "threads")
    with worker(broker, "threads", tmp_path):
        failing = send(
            "until_mended",
            key,
            "before",
            queue=queue,
            link=app.signature("failing.step", (f"{key}-linked",)).set(queue=queue),
        )
        letter = the_letter(broker, queue, failing.id)
        mend(key)
        replay(letter, body=edited_body(letter, [key], {"value": "after"}))
        wait_for(lambda: noted(f"{key}-linked"), "the callback", 30)
    assert noted(f"{key}-linked") == ["after None"]


@pytest.mark.parametrize("broker", BROKERS)
def test_what_is_undecodable_is_refused(brokers, tmp_path, broker):
    queue = queue_of(broker, "solo")
    broken = good_message("undecodable", f"undecodable-{broker}")
    broken["body"] = "[[], {}, {"
    send_raw(broker, "solo", broken)
    with worker(broker, "solo", tmp_path):
        letter = the_letter(broker, queue, broken["headers"]["id"])
    with pytest.raises(NotReplayable, match="can't be decoded"):
        replay(letter)


@pytest.mark.parametrize("broker", BROKERS)
def test_a_broker_with_too_many_is_full(brokers, tmp_path, broker):
    queue = queue_of(broker, "solo")
    with worker(broker, "solo", tmp_path):
        failing = send("until_mended", f"full-{broker}", queue=queue)
        the_letter(broker, queue, failing.id)
    wait_for(lambda: is_full(app, app.brokers[broker], most=1), "the broker to have its letters back")
    assert not is_full(app, app.brokers[broker], most=10**6)


def test_a_failure_whose_headers_no_letter_can_hold_is_left_out(brokers, caplog):
    queue = queue_of(app.broker.alias, "solo")
    nested: list[object] = []
    for _ in range(DEEPLY):
        nested = [nested]
    failing = send("until_mended", "nested", queue=queue)
    with app.connection_for_read(app.broker.alias) as connection:
        message = app.queue_table[queue].queue.bind(connection.default_channel).get()
        message.headers["nested"] = nested
        letter = DeadLetter.of(
            message, queue=queue, broker=app.broker.alias, reason=Reason.FAILED, detail="ValueError: not mended"
        )
        keep_instead(app, message, letter, connection.connection_errors)
        assert message.acknowledged
    assert f"until_mended[{failing.id}] is not kept as a dead letter: RecursionError" in caplog.text
    assert not kept(app.broker.alias, queue, failing.id)
