"""A worker's own ``/metrics``, served by its parent process."""

from __future__ import annotations

import logging
from http.server import HTTPServer
from typing import Any

from celery import bootsteps
from celery.utils.nodenames import nodesplit

from shared.metrics import WorkerMetrics, serve, worker_registry
from shared.settings import load_settings

logger = logging.getLogger(__name__)


class MetricsServer(bootsteps.StartStopStep):
    """Serves the metrics of a worker, when the setting ``metrics_port`` says where.

    It starts after the pool, so that no child process is forked from a parent with a server thread.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._server: HTTPServer | None = None
        self.enabled = load_settings().metrics_port is not None

    def start(self, worker: Any) -> None:
        """Subscribe to the worker's events and begin to serve."""
        settings = load_settings()
        registry = worker_registry()
        metrics = WorkerMetrics(nodesplit(worker.hostname)[1], registry)
        worker.app.subscribers.add(metrics.on_event)
        self._server = serve(registry, settings.metrics_host, settings.metrics_port or 0)
        logger.info("Metrics at http://%s:%s/metrics", settings.metrics_host, self._server.server_port)

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
