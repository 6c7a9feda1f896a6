"""The test fleet, whose publishers and workers tell of each task: ``celery -A tests.fleet.told``."""

from __future__ import annotations

from tests.fleet.app import fleet

app = fleet(include=["tests.fleet.tasks"])
app.conf.update(task_send_sent_event=True, worker_send_task_events=True)
