"""Progress of a task: told now and then, and never in the way of the work."""

from __future__ import annotations

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from shared.progress import ThrottledProgress


def test_progress_is_told_at_most_twice_a_second_and_not_in_the_first_half():
    told: list[int] = []
    now = [0.0]
    progress = ThrottledProgress(told.append, clock=lambda: now[0])
    for tenth in range(31):
        now[0] = tenth / 10
        progress(tenth)
    assert told == [5, 10, 15, 20, 25, 30]


def test_progress_that_cannot_be_told_is_logged_and_the_work_goes_on(caplog):
    def fail(*state):
        raise ConnectionError("result store is away")

    ThrottledProgress(fail, clock=iter((0.0, 1.0)).__next__)(1, 2)
    assert "Progress could not be told: result store is away" in caplog.text


def test_a_time_limit_that_strikes_while_progress_is_told_is_not_swallowed():
    def fail(*state):
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        ThrottledProgress(fail, clock=iter((0.0, 1.0)).__next__)(1, 2)
