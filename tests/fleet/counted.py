"""The test fleet with metrics served on a free port: ``celery -A tests.fleet.counted worker``."""

from __future__ import annotations

from shared.worker.metrics_server import MetricsServer
from tests.fleet.app import app as app  # noqa: PLC0414 - what Celery's command line looks for

app.steps["worker"].add(MetricsServer)
