"""The Celery app of the ``core`` service."""

from __future__ import annotations

from services.core.schedule import SCHEDULE
from shared.fleet import switchyard_app
from shared.names import ServiceName

app = switchyard_app(ServiceName.CORE, include=["services.core.tasks"])
app.conf.beat_schedule = SCHEDULE
