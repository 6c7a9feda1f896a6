"""The fleet of ``tests.fleet.beat`` without shared state: its one beat keeps its schedule in a file."""

from __future__ import annotations

from tests.fleet.app import fleet
from tests.fleet.beat import SCHEDULE

app = fleet(include=["tests.fleet.tasks"], state=None)
app.conf.beat_schedule = SCHEDULE
