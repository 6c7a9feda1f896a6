"""A worker does not keep an outcome for ever: when nobody takes it, the message goes back."""

from __future__ import annotations

import pytest

from shared.queues import Pool
from tests.fixtures.store_outages import POOLS, scene_of
from tests.fleet.inspection import wait_for
from tests.fleet.storing import go_on, has_begun

pytestmark = pytest.mark.concept("result store")


@pytest.mark.parametrize("pool", POOLS)
def test_work_whose_outcome_nobody_takes_is_done_again(brokers, tmp_path, pool):
    with scene_of("redis", tmp_path, [pool], app="tests.fleet.impatient") as scene:
        key, result = scene.begun(pool=pool, value="done twice")
        with scene.away(0):
            go_on(key)
            wait_for(lambda: has_begun(key) == 2, "the work to be done again", 60)
        go_on(key)
        assert result.get(timeout=60) == "done twice"


@pytest.mark.parametrize("pool", [Pool.PREFORK, Pool.GEVENT, Pool.SOLO])
def test_a_soft_limit_is_not_for_the_time_in_which_an_outcome_waits(brokers, tmp_path, pool):
    with scene_of("redis", tmp_path, [pool]) as scene:
        key, result = scene.begun(pool=pool, value="done", soft_time_limit=3)
        with scene.away(4):
            go_on(key)
        assert result.get(timeout=60) == "done"


def test_a_hard_limit_that_ends_the_wait_gives_the_message_back(brokers, tmp_path):
    with scene_of("redis", tmp_path, [Pool.PREFORK]) as scene:
        key, result = scene.begun(pool=Pool.PREFORK, value="done twice", time_limit=3)
        with scene.away(0):
            go_on(key)
            wait_for(lambda: has_begun(key) == 2, "the work to be done again", 60)
        go_on(key)
        assert result.get(timeout=60) == "done twice"
