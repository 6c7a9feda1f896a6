"""The delays between tries, as properties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.email_worker.retries import LONGEST_DELAY_SECONDS, MAX_RETRIES, retry_delay

LOT = st.floats(0, 1)
RETRIES = st.integers(0, 10_000)


@given(RETRIES, LOT)
def test_a_delay_is_at_least_one_second_and_at_most_the_longest(retries, lot):
    assert 1 <= retry_delay(retries, lot) <= LONGEST_DELAY_SECONDS


@given(RETRIES, LOT)
def test_a_later_retry_never_waits_less(retries, lot):
    assert retry_delay(retries, lot) <= retry_delay(retries + 1, lot)


@given(st.integers(0, 6), LOT)
def test_delays_double_until_the_longest(retries, lot):
    assert retry_delay(retries + 1, lot) == 2 * retry_delay(retries, lot)


def test_all_retries_together_outlast_greylisting():
    assert sum(retry_delay(retries, 0.5) for retries in range(MAX_RETRIES)) > 300
