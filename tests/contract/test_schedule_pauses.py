"""An entry that is paused is fired by no beat, and none makes up for what was missed."""

from __future__ import annotations

import pytest

from services.core.fleet_view.schedule import UnknownEntry, list_entries, pause_entry, resume_entry, run_entry
from shared.delays.firing import RunsTable
from tests.fixtures.beats import Fired, beats
from tests.fleet.beat import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS

APP = "tests.fleet.beat"
PAUSED, OTHER = (f"every second on {broker}" for broker in ("batch", "default"))


@pytest.fixture
def start(brokers, tmp_path):
    with beats(app, tmp_path) as start_beat:
        yield start_beat
    resume_entry(app, PAUSED)
    app.state.client.delete(f"fleet.beat.{app.main}.skipped")


def number(entry: str) -> int:
    return RunsTable(app.state, app.main).known()[entry].runs.number


def the_entry(name: str):
    return next(entry for entry in list_entries(app) if entry.name == name)


def test_a_paused_entry_waits_and_goes_on_without_making_up_for_what_it_missed(start):
    fired = Fired(app)
    start(APP), start(APP)
    wait_for(lambda: set(fired.look()) == set(BROKERS), "an entry on each broker")
    assert the_entry(PAUSED).last_run is not None
    assert pause_entry(app, PAUSED, "a test")
    fired.look_for(2)  # what is on its way
    before, sent = number(PAUSED), len(fired.look()["batch"])
    others = len(fired.look()["default"])
    wait_for(lambda: number(PAUSED) >= before + 4, "four times to be left out")
    wait_for(lambda: len(fired.look()["default"]) >= others + 3, "the others to go on")
    assert len(fired.look()["batch"]) == sent
    entry = the_entry(PAUSED)
    assert (entry.paused.by, entry.next_run) == ("a test", None)
    assert abs(entry.last_run.timestamp() - fired.look()["batch"][-1]) < 2
    left_out = number(PAUSED)
    assert resume_entry(app, PAUSED)
    wait_for(lambda: len(fired.look()["batch"]) > sent, "it to go on")
    assert len(fired.look()["batch"]) - sent <= number(PAUSED) - left_out
    assert the_entry(PAUSED).next_run is not None


def test_an_entry_runs_now_when_somebody_says_so(brokers):
    fired = Fired(app)
    pause_entry(app, PAUSED, "a test")
    try:
        assert run_entry(app, PAUSED)
        wait_for(lambda: list(fired.look()) == ["batch"], "its message")
    finally:
        resume_entry(app, PAUSED)
    with pytest.raises(UnknownEntry, match="every second on batch"):
        run_entry(app, "every second on batc")
