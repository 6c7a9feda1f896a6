"""The Celery app of the ``email_worker`` service."""

from __future__ import annotations

from shared.fleet import switchyard_app
from shared.names import ServiceName

app = switchyard_app(ServiceName.EMAIL_WORKER, include=["services.email_worker.tasks"])
