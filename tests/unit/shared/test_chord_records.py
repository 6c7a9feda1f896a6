"""What the outcomes of a chord's members make of it."""

from __future__ import annotations

import pytest

from shared.chords.deadline import checked_deadline
from shared.chords.record import ADDED, UNKNOWN, Member, ends_of, in_order, leaves, member_of


def outcomes(*ended):
    return {Member(task_id, place): f"{task_id}{place:.0f}" for task_id, place in ended}


def test_results_are_in_the_order_of_the_header_whoever_ended_first():
    assert in_order(["a", "b", "c"], outcomes(("c", 2), ("a", 0), ("b", 1))) == ["a0", "b1", "c2"]


def test_results_of_a_group_are_a_list_and_added_members_come_last():
    ended = outcomes(("x", ADDED), ("c", 1), ("a", 0), ("b", 0))
    assert in_order(["a", ["b", "c"]], ended) == ["a0", ["b0", "c1"], "xinf"]


def test_members_of_a_generator_are_in_the_order_of_their_places():
    assert in_order(None, outcomes(("b", 1), ("x", ADDED), ("a", 0))) == ["a0", "b1", "xinf"]


def test_members_of_one_task_id_are_told_apart():
    assert in_order(["a", "b", "a"], outcomes(("a", 2), ("b", 1), ("a", 0))) == ["a0", "b1", "a2"]


def test_a_member_that_did_not_report_itself_is_where_it_belongs():
    assert in_order(["a", "b"], outcomes(("b", UNKNOWN), ("a", 0))) == ["a0", "b-1"]


def test_a_header_that_is_not_the_one_that_was_published_is_in_the_order_of_places():
    assert in_order(["a", "gone"], outcomes(("b", 1), ("a", 0))) == ["a0", "b1"]


def test_many_members_have_their_places():
    ids = [f"{number:x}" for number in range(1_500_000, 1_500_003)]
    ended = outcomes(*((task_id, 1_500_000 + place) for place, task_id in enumerate(ids)))
    assert list(ended.values()) == in_order(ids, dict(reversed(ended.items())))


@pytest.mark.parametrize("place", [0, 1_500_001, ADDED, UNKNOWN])
def test_a_member_is_read_as_it_is_kept(place):
    assert member_of(b"id", f"{place:.0f} [1, 2]".encode()) == (Member("id", place), b"[1, 2]")
    assert member_of(b"id 7", f"{place:.0f} x".encode()) == (Member("id", place), b"x")


def task(name, **options):
    return {"task": name, "kwargs": {}, "options": options, "subtask_type": None}


def canvas(kind, **inner):
    return {"task": f"celery.{kind}", "kwargs": inner, "options": {}, "subtask_type": kind}


@pytest.mark.parametrize(
    ("sig", "last"),
    [
        (task("a"), ["a"]),
        (canvas("chain", tasks=[task("a"), task("b")]), ["b"]),
        (canvas("group", tasks=[task("a"), canvas("chain", tasks=[task("b"), task("c")])]), ["a", "c"]),
        (canvas("chord", header=[task("a")], body=canvas("group", tasks=[task("b"), task("c")])), ["b", "c"]),
        (canvas("chain", tasks=[task("a"), canvas("chord", header=[task("b")], body=task("c"))]), ["c"]),
        (canvas("chain", tasks=[]), []),
        (canvas("chord", header=[], body=None), []),
    ],
)
def test_the_ends_of_a_canvas(sig, last):
    assert [each["task"] for each in ends_of(sig)] == last


def test_the_task_ids_of_a_tree():
    assert list(leaves(["a", ["b", ["c"]], "d"])) == ["a", "b", "c", "d"]


def test_a_deadline_is_a_number_of_seconds():
    assert checked_deadline(1) == 1.0
    for wrong in (0, -1, float("inf"), float("nan"), "1", None, True):
        with pytest.raises(ValueError, match="seconds above 0"):
            checked_deadline(wrong)
