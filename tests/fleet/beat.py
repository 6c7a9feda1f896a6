"""The test fleet with a schedule: ``celery -A tests.fleet.beat beat`` publishes to each broker every second."""

from __future__ import annotations

from tests.fleet.app import fleet
from tests.fleet.tables import BROKERS, parked

BY_THE_CLOCK = "by-the-clock"
EVERY_SECONDS = 1.0
SCHEDULE = {
    f"every second on {broker}": {
        "task": f"try.parked_{broker}",
        "schedule": EVERY_SECONDS,
        "args": (BY_THE_CLOCK,),
        "options": {"queue": parked(broker)},
    }
    for broker in BROKERS
}

app = fleet(include=["tests.fleet.tasks"])
app.conf.beat_schedule = SCHEDULE
