"""Serves what only the brokers know: the depth of every queue, and which broker answers."""

from __future__ import annotations

import logging
import signal

from shared.brokers import switchyard_brokers
from shared.depths import measured_by
from shared.metrics import DepthCollector, serve, worker_registry
from shared.queues import QUEUES
from shared.settings import load_settings

logger = logging.getLogger(__name__)

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def run() -> None:
    """Serve ``/metrics`` until SIGTERM or Ctrl-C; every scrape asks the brokers anew."""
    settings = load_settings()
    # Blocked before the server's thread starts, which inherits the mask: only sigwait takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    registry = worker_registry()
    registry.register(DepthCollector(measured_by(switchyard_brokers(settings), QUEUES)))
    server = serve(registry, settings.metrics_host, settings.metrics_port or 0)
    logger.info("Depths at http://%s:%s/metrics", settings.metrics_host, server.server_port)
    try:
        signal.sigwait(STOP_SIGNALS)
    finally:
        server.shutdown()
        server.server_close()
