"""Beat publishes each entry to the broker that owns its queue, once for each time, however many beats there are."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from tests.fixtures.beats import Fired, beats
from tests.fleet.app import app
from tests.fleet.beat import EVERY_SECONDS
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS

APP = "tests.fleet.beat"
NOTICED_SECONDS = 15.0
"""A beat that died or stands still holds up no entry for longer."""


@pytest.fixture
def start(brokers, tmp_path):
    with beats(app, tmp_path) as start_beat:
        yield start_beat


@pytest.mark.concept("beat")
@pytest.mark.parametrize("target", BROKERS)
def test_beat_publishes_an_entry_to_the_owner_of_its_queue(start, target):
    fired = Fired(app)
    start(APP)
    wait_for(lambda: target in fired.look(), "an entry on its broker")


def test_without_shared_state_it_is_celery_s_beat_that_publishes_to_each_owner(start):
    fired = Fired(app)
    start("tests.fleet.beat_without_state")
    wait_for(lambda: set(fired.look()) == set(BROKERS), "an entry on each broker")


@pytest.mark.concept("beat")
def test_of_two_beats_one_fires_each_entry_and_the_other_goes_on_when_it_dies_or_hangs(start):
    fired = Fired(app)
    first, second = start(APP), start(APP)
    wait_for(lambda: first.fired and second.fired, "both beats to have fired something")
    fired.look_for(6)
    first.kill()
    third = start(APP)
    fired.look_for(8)
    frozen = time.time()
    second.freeze()
    fired.look_for(6)
    second.thaw()
    thawed = time.time()
    fired.look_for(6)
    second.stop()
    third.stop()
    fired.wait_for_all()
    for times in fired.look().values():
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps) > EVERY_SECONDS / 2
        print(f"at most {max(gaps):.1f} s between two firings, {EVERY_SECONDS:g} s asked for")
        assert max(gaps) < EVERY_SECONDS + NOTICED_SECONDS
        assert len(times) > (times[-1] - times[0]) / EVERY_SECONDS - 2 * max(gaps)
        assert any(frozen < at < thawed for at in times)
