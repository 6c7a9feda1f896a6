"""Progress of a chunk: told now and then, and never in the way of the mail."""

from __future__ import annotations

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from services.email_worker import progress
from services.email_worker.progress import ThrottledProgress


def test_the_first_half_second_is_silent():
    told: list[tuple[int, int]] = []
    tell = ThrottledProgress(lambda *counts: told.append(counts))
    for current in range(50):
        tell(current, 50)
    assert told == []


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)


@pytest.mark.usefixtures("at_once")
def test_progress_is_passed_on():
    told: list[tuple[int, int]] = []
    ThrottledProgress(lambda *counts: told.append(counts))(10, 50)
    assert told == [(10, 50)]


@pytest.mark.usefixtures("at_once")
def test_a_result_store_that_is_away_is_logged_and_a_time_limit_is_not_kept_back(caplog):
    def fail(*_: int) -> None:
        raise ConnectionError("nobody there")

    def strike(*_: int) -> None:
        raise SoftTimeLimitExceeded

    ThrottledProgress(fail)(10, 50)
    assert "Progress was not stored: nobody there" in caplog.text
    with pytest.raises(SoftTimeLimitExceeded):
        ThrottledProgress(strike)(10, 50)
