"""Beat publishes each entry to the broker that owns its queue."""

from __future__ import annotations

import subprocess
import sys

from tests.fixtures.workers import ROOT
from tests.fleet.app import app
from tests.fleet.beat import BY_THE_CLOCK
from tests.fleet.inspection import ParkedMessages, wait_for
from tests.fleet.tables import BROKERS


def test_beat_publishes_each_entry_to_its_owner(brokers, tmp_path):
    look = ParkedMessages(app)
    with (tmp_path / "beat.log").open("wb") as log:
        beat = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tests.fleet.beat", "beat", "-l", "INFO",
             "-s", str(tmp_path / "schedule"), "--pidfile="],
            cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            wait_for(lambda: arrived(look) == set(BROKERS), "an entry on each broker")
        finally:
            beat.terminate()
            beat.wait(20)


def arrived(look: ParkedMessages) -> set[str]:
    """The brokers on which an entry was found; one found elsewhere than its name says fails the test."""
    found = {headers["task"]: alias for alias, headers in look.look().values() if BY_THE_CLOCK in headers["argsrepr"]}
    assert all(task == f"try.parked_{alias}" for task, alias in found.items())
    return set(found.values())
