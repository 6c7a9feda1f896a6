"""What is known of a task does not depend on the order in which its events come, nor on how often they do."""

from __future__ import annotations

from functools import reduce
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from services.core.history.sightings import ENDED, KINDS, MOST_TEXT, MOST_TRACEBACK, TaskState, merged, sighting

ID = "0c4b8a51-5a57-4e8e-9df5-4a86c1d4c1aa"
OF_KIND: dict[str, dict[str, object]] = {
    "task-sent": {"name": "a.task", "queue": "a.queue", "group": "g", "chord": ["body", "a.body", None]},
    "task-received": {"name": "a.task", "root_id": ID, "retries": 0, "args": "(1,)"},
    "task-started": {"queue": "a.queue"},
    "task-succeeded": {"result": "2", "runtime": 0.5},
    "task-failed": {"exception": "ValueError()", "traceback": "Traceback …"},
    "task-retried": {"exception": "OSError()", "traceback": "Traceback …"},
}


def event(kind: str, at: float, **more: object) -> dict[str, object]:
    return {"type": kind, "uuid": ID, "timestamp": at, "hostname": "worker@host", **OF_KIND.get(kind, {}), **more}


events = st.builds(event, st.sampled_from(sorted(KINDS)), st.integers(1, 50).map(float))


def known(*told: dict[str, object]):
    return reduce(merged, [each for one in told if (each := sighting("batch", one)) is not None])


@given(st.lists(events, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_counts(told, random):
    again = [*told, *random.choices(told, k=3)]
    random.shuffle(again)
    assert known(*again) == known(*told)


@given(st.lists(events, min_size=2, max_size=8), st.integers(1, 7))
def test_two_recorders_that_merge_what_each_heard_know_what_one_knows(told, cut):
    cut = min(cut, len(told) - 1)
    assert merged(known(*told[:cut]), known(*told[cut:])) == known(*told)


def test_a_publisher_whose_clock_is_ahead_takes_no_state_back():
    found = known(event("task-sent", 100.0), event("task-received", 10.0), event("task-succeeded", 11.0))
    assert (found.state, found.sent_at, found.first_at, found.queue) == (TaskState.SUCCEEDED, 100.0, 10.0, "a.queue")


def test_a_task_that_is_delivered_again_is_where_it_was_last():
    told = [event("task-received", 1.0), event("task-started", 2.0), event("task-received", 9.0, hostname="other@host")]
    found = known(*told)
    assert (found.state, found.worker, found.started_at, found.received_at) == ("received", "other@host", 2.0, 9.0)


def test_of_two_failures_the_last_one_is_told():
    found = known(event("task-retried", 1.0, exception="first"), event("task-failed", 2.0, exception="second"))
    assert (found.exception, found.state) == ("second", TaskState.FAILED)
    assert found.state in ENDED


def test_what_anybody_sends_is_bounded():
    found = known(event("task-failed", 1.0, exception="x" * 100_000, traceback="y" * 100_000, name="z" * 1000))
    assert (len(found.exception), len(found.traceback), len(found.name)) == (MOST_TEXT, MOST_TRACEBACK, 255)


def test_what_makes_no_sense_is_left_out():
    when = count(1)
    senseless = [
        {}, {"type": "worker-heartbeat", "timestamp": 1.0}, {"type": "task-sent", "timestamp": 1.0},
        event("task-sent", next(when), uuid=7), event("task-sent", next(when), timestamp="now"),
        event("task-sent", next(when), uuid="x" * 1000), event("task-sent", 1e300), event("task-sent", float("nan")),
        event("task-unheard-of", next(when)),
    ]  # fmt: skip
    assert [sighting("batch", each) for each in senseless] == [None] * len(senseless)
    found = known(event("task-sent", 1.0, chord=7, next="x", retries="no", runtime=[]))
    assert (found.chord_id, found.next_steps, found.retries, found.seconds) == (None, None, None, None)
