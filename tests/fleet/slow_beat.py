"""The schedule of ``tests.fleet.beat``, every five seconds."""

from __future__ import annotations

from tests.fleet.app import fleet
from tests.fleet.beat import SCHEDULE

app = fleet(include=["tests.fleet.tasks"])
app.conf.beat_schedule = {name: {**entry, "schedule": 5.0} for name, entry in SCHEDULE.items()}
