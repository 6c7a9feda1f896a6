"""Of all processes that move delayed messages one looks often for each broker, as long as it lives."""

from __future__ import annotations

import pytest

from shared.delays.mover import LOOK_EVERY_SECONDS, OTHERS_LOOK_EVERY_SECONDS, pause_after
from shared.delays.table import LOOKOUT_SECONDS, DelayTable, Due
from shared.secret import SecretStr
from shared.state import State
from tests.fleet.inspection import wait_for


@pytest.fixture
def is_lookout(redis_url):
    table = DelayTable(State(SecretStr(redis_url)))
    return lambda mover, broker="critical": table.claim_due(broker, mover).is_lookout


def test_the_first_of_a_broker_is_its_lookout(is_lookout):
    assert [is_lookout("first"), is_lookout("second"), is_lookout("first")] == [True, False, True]
    assert is_lookout("second", "batch")


def test_another_takes_over_when_it_is_gone(is_lookout):
    assert is_lookout("gone")
    wait_for(lambda: is_lookout("next"), "another lookout", LOOKOUT_SECONDS + 5)
    assert not is_lookout("gone")


def test_it_stays_while_it_looks(is_lookout, redis_client):
    assert is_lookout("there")
    seconds, microseconds = redis_client.time()
    until = seconds + microseconds / 1e6 + 2 * LOOKOUT_SECONDS

    def looks():
        assert is_lookout("there")
        assert not is_lookout("other")
        seconds, _ = redis_client.time()
        return seconds > until

    wait_for(looks, "twice the time that one has")


def test_the_others_look_less_often_whatever_is_due():
    assert pause_after(Due([], None, is_lookout=True)) == LOOK_EVERY_SECONDS
    assert pause_after(Due([], 0.05, is_lookout=True)) == 0.05
    assert pause_after(Due([], 0.05, is_lookout=False)) == OTHERS_LOOK_EVERY_SECONDS
