"""A worker's own ``/metrics`` and ``/health``, served by its parent process."""

from __future__ import annotations

import logging
from typing import Any
from wsgiref.simple_server import WSGIServer

from celery import bootsteps
from celery.utils.nodenames import nodesplit

from shared.metrics import TallyCollector, WorkerMetrics, serve, worker_registry
from shared.settings import load_settings
from shared.tallies import open_tallies, read_tallies
from shared.worker.health import Health

logger = logging.getLogger(__name__)


class MetricsServer(bootsteps.StartStopStep):
    """Serves the metrics and the health of a worker, when the setting ``metrics_port`` says where.

    It starts after the pool, as ``Health`` does, so that no child process is forked from a parent with a server thread.
    Tallies are opened before the pool, so that every child shares them.
    """

    requires = (Health,)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._server: WSGIServer | None = None
        self.enabled = load_settings().metrics_port is not None
        if self.enabled:
            open_tallies()

    def start(self, worker: Any) -> None:
        """Subscribe to the worker's events and begin to serve."""
        settings = load_settings()
        registry = worker_registry()
        health = worker.health
        app, hostname = worker.app, nodesplit(worker.hostname)[1]
        metrics = WorkerMetrics(
            hostname,
            lambda: health.verdict.ready,
            tasks={*app.tasks, *app.routing.tasks},
            queues=app.queue_table,
            served=dict.fromkeys(app.amqp.queues.consume_from, app.broker.alias),
            processes=lambda: int(worker.pool.num_processes),
        )
        registry.register(metrics)
        registry.register(TallyCollector(hostname, read_tallies))
        app.subscribers.add(metrics.on_event)
        self._server = serve(registry, settings.metrics_host, settings.metrics_port or 0, lambda: health.verdict)
        logger.info("Metrics at http://%s:%s/metrics", settings.metrics_host, self._server.server_port)

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
