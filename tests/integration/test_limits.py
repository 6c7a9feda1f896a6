"""The line before a fleet-wide rate limit, in shared state."""

from __future__ import annotations

import time
from itertools import count, pairwise

import pytest

from shared.limits import LATE_SECONDS, PUT_OFF_HEADER, Limit, Limits, appointment_of
from tests.fleet.app import app
from tests.fleet.inspection import wait_for

NAMES = (f"fleet.limit:line-{number}" for number in count())
TEN_A_SECOND = Limit(interval=0.1, burst=1)


@pytest.fixture
def limits(brokers):
    return Limits(app.state)


@pytest.fixture
def key(brokers):
    name = next(NAMES)
    yield name
    app.state.client.delete(name)


@pytest.fixture
def line(limits, key):
    """Appointments for the next five seconds, the first one first; the token of this moment is gone."""
    assert limits.take(key, TEN_A_SECOND, appointment=None).wait == 0
    return [limits.take(key, TEN_A_SECOND, appointment=None).at for _ in range(50)]


def test_appointments_lie_as_far_apart_as_tokens_come(line):
    assert [later - earlier for earlier, later in pairwise(line)] == pytest.approx([0.1] * 49, abs=0.01)


def test_who_is_a_little_late_is_not_overtaken(limits, key, line):
    for appointment in line[:15]:
        time.sleep(max(0.0, appointment - time.time()))
        other = limits.take(key, TEN_A_SECOND, appointment=None)
        assert other.wait > 0 or time.time() - appointment > LATE_SECONDS
        limits.take(key, TEN_A_SECOND, appointment=appointment)


def test_tokens_do_not_lapse_while_those_in_the_line_are_late(limits, key, line):
    """They stand behind others in a queue: whoever comes meanwhile may start, as often as tokens come."""
    started: list[float] = []

    def five_started() -> bool:
        if limits.take(key, TEN_A_SECOND, appointment=None).wait == 0:
            started.append(time.time())
        return len(started) == 5

    wait_for(five_started, "five to start", 20)
    assert started[-1] - started[0] > 4 * TEN_A_SECOND.interval - 0.1
    assert limits.take(key, TEN_A_SECOND, appointment=line[0]).wait == 0


@pytest.mark.parametrize("at", [float("nan"), float("inf"), "soon", None, {}])
def test_an_appointment_that_makes_no_sense_is_long_past(at):
    assert appointment_of({PUT_OFF_HEADER: {"times": 1, "at": at}}) == 0.0
    assert appointment_of({PUT_OFF_HEADER: {"at": at}}) is None
    assert appointment_of({PUT_OFF_HEADER: at}) is None


def test_who_may_come_back_when_they_like_are_told_when_and_stand_in_no_line(limits, key):
    slow = Limit(interval=1000.0, burst=3)
    assert [limits.take_now(key, slow) for _ in range(3)] == [0.0] * 3
    for _ in range(3):
        assert limits.take_now(key, slow) == pytest.approx(1000.0, abs=60)
    assert app.state.client.pttl(key) == pytest.approx(3_000_000, abs=60_000)
