"""A worker is not ready when it has no broker, or takes nothing although work waits and it is free."""

from __future__ import annotations

from dataclasses import replace

from shared.worker.readiness import STALLED_AFTER_SECONDS, Readiness, Seen

STALLED = Seen("batch", ("file.images",), connected=True, answered=0.0, waiting={"file.images": 3})


def reasons(looks: dict[float, Seen]) -> list[str | None]:
    """The answers to a series of looks, each with an answer of the broker that is fresh."""
    readiness = Readiness()
    return [readiness.why_not(now, replace(seen, answered=now)) for now, seen in looks.items()]


def test_work_that_waits_while_a_slot_is_free_is_a_reason_after_a_while():
    before, after = reasons({0: STALLED, STALLED_AFTER_SECONDS - 1: STALLED, STALLED_AFTER_SECONDS: STALLED})[1:]
    assert before is None
    assert after == "work waits in file.images, a slot is free, and none was taken for 15 s"


def test_whatever_is_taken_begins_the_count_anew():
    looks = {float(now): replace(STALLED, taken={"file.images": now}) for now in range(0, 60, 5)}
    assert set(reasons(looks)) == {None}


def test_a_busy_worker_is_ready_and_its_count_begins_when_it_is_free():
    busy = replace(STALLED, can_take=False)
    assert reasons({0: STALLED, 14: busy, 15: STALLED, 29: STALLED, 30: STALLED})[2:4] == [None, None]
    assert set(reasons({float(now): busy for now in range(60)})) == {None}


def test_work_of_a_queue_that_is_paused_is_no_reason():
    paused = replace(STALLED, queues=())
    assert set(reasons({float(now): paused for now in range(60)})) == {None}


def test_an_empty_queue_is_no_reason():
    idle = replace(STALLED, waiting={"file.images": 0})
    assert set(reasons({float(now): idle for now in range(60)})) == {None}


def test_each_queue_counts_for_itself():
    half = replace(STALLED, queues=("file.images", "file.documents"), waiting={"file.images": 1, "file.documents": 1})
    looks = {float(now): replace(half, taken={"file.documents": now}) for now in range(0, 20, 5)}
    assert "file.images" in (reasons(looks)[-1] or "")


def test_without_a_connection_it_is_not_ready_at_once_and_the_count_begins_after_it():
    lost = replace(STALLED, connected=False)
    assert reasons({0: STALLED, 10: lost, 11: STALLED, 25: STALLED}) == [
        None,
        "it has no connection to broker batch",
        None,
        None,
    ]


def test_a_broker_that_is_silent_for_a_while_is_a_reason():
    readiness = Readiness()
    assert readiness.why_not(STALLED_AFTER_SECONDS, replace(STALLED, waiting={})) is None
    why = readiness.why_not(STALLED_AFTER_SECONDS + 1, replace(STALLED, waiting={}))
    assert why == "broker batch has not answered for 16 s"
