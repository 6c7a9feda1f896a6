"""The test fleet, whose workers may be told to restart their pool: ``celery -A tests.fleet.restarting worker``."""

from __future__ import annotations

from tests.fleet.app import fleet

app = fleet(include=["tests.fleet.tasks"])
app.conf.worker_pool_restarts = True
