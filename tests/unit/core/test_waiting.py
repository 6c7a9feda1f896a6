"""Waiting ends when it is over, or when nothing moves any more; what moves may take longer than that."""

from __future__ import annotations

from services.core.local.waiting import wait_until, wait_while_it_moves


def test_a_condition_is_asked_until_it_holds():
    answers = iter([False, False, True])
    assert wait_until(lambda: next(answers), 30)


def test_a_condition_that_never_holds_is_given_up():
    assert not wait_until(lambda: False, 0.05)


def test_what_moves_is_waited_for_longer_than_it_may_stand_still():
    answers = iter([4, 3, 2, 1, 0])
    assert wait_while_it_moves(lambda: next(answers), 0.5, every=0.2)


def test_what_stands_still_is_given_up():
    answers = iter([3, 2])
    assert not wait_while_it_moves(lambda: next(answers, 1), 0.05)


def test_where_nothing_is_left_nobody_waits():
    answers = iter([0])
    assert wait_while_it_moves(lambda: next(answers), 30)
