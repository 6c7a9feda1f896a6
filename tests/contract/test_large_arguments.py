"""Large arguments lie in storage, messages hold references, and tasks get the values, whatever the canvas."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from celery import chain, chord, group
from kombu.exceptions import EncodeError

from shared.arguments import ArgumentNotStored, LargeArguments
from shared.bulk import bulk
from shared.errors import ArgumentUnavailable, ConfigurationError
from shared.message_size import MessageTooLarge
from shared.storage import Storage
from shared.testing.recording import recording
from tests.fixtures.brokers import environment
from tests.fixtures.workers import WorkerProcess
from tests.fleet.carrying import HOME, OTHER, fleet, queue_of

MOST = 20_000
LENGTH = 5 * MOST
LARGE = "x" * LENGTH
SECONDS = 30


@pytest.fixture(scope="module")
def carrying(brokers, tmp_path_factory):
    """A client, a worker on Redis and one on RabbitMQ, over one storage."""
    folder = tmp_path_factory.mktemp("carrying")
    variables = {"YARD_MESSAGE_MAX_BYTES": str(MOST), "YARD_STORAGE_ROOT": str(folder / "storage")}
    with ExitStack() as stack:
        stack.enter_context(environment(variables))
        app = stack.enter_context(fleet())
        for broker in (HOME, OTHER):
            worker = WorkerProcess(
                "tests.fleet.carrying", f"-Q{queue_of(broker)}", "--without-mingle", "--without-gossip",
                f"-ncarrying-{broker}@here", log=folder / f"{broker}.log",
            )  # fmt: skip
            stack.callback(worker.stop)
        yield SimpleNamespace(app=app, storage=folder / "storage" / "arguments")


def sig(carrying, task: str, *args, **options):
    return carrying.app.signature(f"carry.{task}", args, **options)


def objects(carrying) -> list[str]:
    return sorted(str(path) for path in carrying.storage.rglob("*") if path.is_file())


@pytest.mark.parametrize("broker", [HOME, OTHER])
@pytest.mark.parametrize("options", [{}, {"countdown": 0.3}], ids=["at once", "delayed"])
def test_the_task_gets_the_value(carrying, broker, options):
    stored = carrying.app.stored(LARGE)
    assert stored["bytes"] == LENGTH + 2
    result = sig(carrying, "length", stored, "small").apply_async(
        kwargs={"named": stored}, queue=queue_of(broker), **options
    )
    assert result.get(timeout=SECONDS) == [LENGTH, 5, LENGTH]


def test_a_value_may_be_any_json_and_lie_deep_in_an_argument(carrying):
    inner = carrying.app.stored([{"a": LARGE, "b": None}])
    assert sig(carrying, "notes", {"kind": "note", "inner": inner}).delay().get(timeout=SECONDS) == [
        *("kind", "inner"),
        *("a", "b"),
    ]
    with pytest.raises(EncodeError):
        carrying.app.stored(object())


def test_many_tasks_of_one_value_share_it(carrying):
    before = objects(carrying)
    stored = carrying.app.stored("y" * LENGTH)
    texts = group(sig(carrying, "length", stored, queue=queue_of(broker)) for broker in (HOME, OTHER) for _ in range(5))
    with bulk():
        result = texts.apply_async()
    assert result.get(timeout=SECONDS) == [[LENGTH]] * 10
    assert len(objects(carrying)) == len(before) + 1


def test_chains_and_chords_hand_references_on(carrying):
    stored = carrying.app.stored(LARGE)
    steps = chain(sig(carrying, "text", "z", 7), sig(carrying, "length", stored), sig(carrying, "length", stored))
    assert steps.apply_async().get(timeout=SECONDS) == [2, LENGTH]
    header = [sig(carrying, "length", stored, queue=queue_of(broker)) for broker in (HOME, OTHER)]
    body = sig(carrying, "length", stored, queue=queue_of(OTHER))
    assert chord(header, body).apply_async().get(timeout=SECONDS) == [2, LENGTH]


def test_retries_read_it_again_and_stay_small(carrying):
    length, message = sig(carrying, "retried", carrying.app.stored(LARGE)).delay().get(timeout=SECONDS)
    assert length == LENGTH
    assert message < 200


def test_a_task_that_takes_large_arguments_gets_them_through_storage_by_itself(carrying):
    before = objects(carrying)
    large = "automatic" * MOST
    assert sig(carrying, "letters", large).delay().get(timeout=SECONDS) == len(large)
    assert len(objects(carrying)) == len(before) + 1
    assert sig(carrying, "letters", "small").delay().get(timeout=SECONDS) == 5
    assert len(objects(carrying)) == len(before) + 1
    delayed = sig(carrying, "letters", [large, "b"], kwargs={"of": "b"}).apply_async(countdown=0.3)
    assert delayed.get(timeout=SECONDS) == 1


def test_large_results_become_arguments_of_tasks_that_take_them(carrying):
    text = sig(carrying, "text", "x", LENGTH)
    assert chain(text, sig(carrying, "letters")).apply_async().get(timeout=SECONDS) == LENGTH
    assert chord([text, text], sig(carrying, "letters")).apply_async().get(timeout=SECONDS) == 2 * LENGTH


def test_a_large_result_that_the_next_task_does_not_take_fails_its_step(carrying):
    result = chain(sig(carrying, "text", "x", LENGTH), sig(carrying, "length")).apply_async()
    with pytest.raises(MessageTooLarge, match=rf"'carry.length' has \d+ bytes, and {MOST} is the most"):
        result.parent.get(timeout=SECONDS)


def test_many_small_arguments_are_no_large_one(carrying):
    with pytest.raises(MessageTooLarge):
        sig(carrying, "letters", *["x" * 1000] * 30).delay()


def test_a_value_that_is_gone_fails_the_task_and_says_why(carrying):
    stored = carrying.app.stored("gone" * MOST)
    next(path for path in carrying.storage.rglob(stored["switchyard.stored"].rpartition("/")[2])).unlink()
    result = sig(carrying, "length", stored).delay()
    with pytest.raises(ArgumentUnavailable, match=r"large, 80002 bytes, .* can't be read .* removed after 30 days"):
        result.get(timeout=SECONDS)
    assert result.state == "FAILURE"


def test_what_is_as_old_as_any_message_may_be_is_removed_by_the_daily_cleaning(carrying):
    root = Storage(carrying.storage.parent)
    old = LargeArguments(root, clock=lambda: datetime.now(UTC) - timedelta(days=30, hours=2))
    gone, young = old.put("old" * MOST), carrying.app.stored("young" * MOST)
    carrying.app.tasks["celery.backend_cleanup"]()
    assert carrying.app.large_arguments.get(young) == "young" * MOST
    with pytest.raises(ArgumentUnavailable):
        old.get(gone)
    assert not carrying.app.backend.supports_autoexpire


def test_an_app_without_storage_says_so(carrying):
    with fleet(large_arguments=None) as without:
        with pytest.raises(ConfigurationError, match="give its FleetCelery large_arguments="):
            without.stored(LARGE)
        with pytest.raises(MessageTooLarge):
            without.send_task("carry.letters", (LARGE,))


def test_storage_that_does_not_take_it_says_so(carrying, tmp_path):
    (tmp_path / "arguments").write_text("in the way")
    with fleet(large_arguments=LargeArguments(Storage(tmp_path))) as elsewhere:
        for attempt in (lambda: elsewhere.stored(LARGE), lambda: elsewhere.send_task("carry.letters", (LARGE,))):
            with pytest.raises(ArgumentNotStored, match="can't be written") as caught:
                attempt()
            assert caught.value.sent == "no"


def test_a_recording_keeps_the_value_and_writes_nothing(carrying):
    before = objects(carrying)
    with recording(carrying.app) as published:
        carrying.app.send_task("carry.letters", ("recorded" * MOST,))
    assert [task.args for task in published] == [["recorded" * MOST]]
    assert objects(carrying) == before
