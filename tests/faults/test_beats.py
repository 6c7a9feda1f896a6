"""Beats over minutes, and without the shared state that they agree by."""

from __future__ import annotations

import time
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from tests.fixtures.beats import Fired, beats
from tests.fixtures.brokers import environment
from tests.fixtures.proxy import proxy_to
from tests.fleet.app import app
from tests.fleet.beat import EVERY_SECONDS
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS

APP, SLOW_APP, SLOW_SECONDS = "tests.fleet.beat", "tests.fleet.slow_beat", 5.0
MINUTES = 3


@pytest.fixture
def start(brokers, tmp_path):
    with beats(app, tmp_path) as start_beat:
        yield start_beat


@pytest.mark.timeout(360)
def test_with_two_beats_and_a_killed_one_each_entry_is_fired_once_per_due_time_over_three_minutes(start):
    fired = Fired(app)
    first, second = start(SLOW_APP), start(SLOW_APP)
    began = time.time()
    fired.look_for(60)
    first.kill()
    killed = time.time()
    fired.look_for(60 * MINUTES - 60)
    second.stop()
    fired.wait_for_all()
    for times in fired.look().values():
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps) > SLOW_SECONDS - 0.5
        assert max(gaps) < SLOW_SECONDS + 1
        assert any(killed < at < killed + SLOW_SECONDS + 1 for at in times)
        assert len(times) >= (60 * MINUTES - (times[0] - began)) / (SLOW_SECONDS + 0.1)


def test_nothing_is_fired_while_shared_state_is_out_of_reach_and_one_of_each_entry_afterwards(start, brokers):
    url = brokers["YARD_STATE_URL"]
    port = urlsplit(url).port or 0
    fired = Fired(app)
    with proxy_to(port) as proxy, environment({**brokers, "YARD_STATE_URL": url.replace(f":{port}", f":{proxy.port}")}):
        proxy.refuse()
        beat = start(APP)
        wait_for(lambda: "while shared state does not answer" in beat.output, "it to say so at its start")
        assert not fired.look()
        proxy.accept()
        wait_for(lambda: set(fired.look()) == set(BROKERS), "an entry on each broker")
        proxy.refuse()
        wait_for(lambda: beat.output.count("while shared state does not answer") == 2, "it to say so again")
        fired.wait_for_all()
        before = {alias: len(times) for alias, times in fired.look().items()}
        fired.look_for(4 * EVERY_SECONDS)
        assert {alias: len(times) for alias, times in fired.look().items()} == before
        proxy.accept()
        again = time.time()
        wait_for(lambda: all(times[-1] > again for times in fired.look().values()), "an entry on each broker again")
        beat.stop()
    fired.wait_for_all()
    for times in fired.look().values():
        late = [after - before for before, after in pairwise(times) if after - before < EVERY_SECONDS / 2]
        assert not late
