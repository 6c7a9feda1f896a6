"""The Celery app of the ``file_worker`` service."""

from __future__ import annotations

from shared.fleet import switchyard_app
from shared.names import ServiceName

app = switchyard_app(ServiceName.FILE_WORKER, include=["services.file_worker.tasks"])
