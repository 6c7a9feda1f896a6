"""Serves what no worker knows: the depth of every queue, which broker answers, and what the ledger holds."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from http.client import HTTPConnection, HTTPException

from services.core.bootstrap import ledger
from services.core.ledger.errors import LedgerError
from services.core.usecases.measures import ledger_measures
from shared.brokers import switchyard_brokers
from shared.delays.table import DelayTable
from shared.depths import measured_by
from shared.health import clock
from shared.heartbeat import Heartbeat, Look
from shared.metrics import DelayedCollector, DepthCollector, Measure, RecordCollector, serve, worker_registry
from shared.queues import QUEUES, QueueSpec
from shared.settings import load_settings
from shared.state import State

logger = logging.getLogger(__name__)

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
ANSWER_WITHIN_SECONDS = 5.0
LEDGER_UP = Measure("switchyard_ledger_up", "1 when the ledger could be read, within the last 5 seconds.")


def run(queues: Sequence[QueueSpec] = QUEUES) -> None:
    """Serve ``/metrics`` until SIGTERM or Ctrl-C; every scrape asks the brokers anew.

    Args:
        queues: The queues to measure.
    """
    settings = load_settings()
    # Blocked before the server's thread starts, which inherits the mask: only sigwait takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    registry = worker_registry()
    registry.register(DepthCollector(measured_by(switchyard_brokers(settings), queues)))
    delays = DelayTable(State(settings.state_url))
    registry.register(DelayedCollector({spec.name: spec.broker for spec in queues}, delays.by_queue))
    registry.register(ledger_collector())
    served = Served(settings.metrics_host)
    heartbeat = Heartbeat("observer", served.look, settings.run_folder)
    server = serve(registry, settings.metrics_host, settings.metrics_port or 0, lambda: heartbeat.verdict)
    served.port = server.server_port
    heartbeat.start()
    logger.info("Depths at http://%s:%s/metrics", settings.metrics_host, server.server_port)
    try:
        signal.sigwait(STOP_SIGNALS)
    finally:
        heartbeat.end()
        server.shutdown()
        server.server_close()


def ledger_collector() -> RecordCollector:
    """Return what reads the ledger at a scrape."""
    return RecordCollector(LEDGER_UP, partial(ledger_measures, ledger()), LedgerError)


class Served:
    """Asks this process for an answer over HTTP, as others do; the loop that has to turn is the server's.

    Args:
        host: Where it listens.
    """

    port = 0
    """The port, once it is known."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._answered = clock()

    def look(self) -> Look:
        """Tell when it last answered."""
        with closing(HTTPConnection(self._host, self.port, timeout=ANSWER_WITHIN_SECONDS)) as connection:
            try:
                connection.request("GET", "/health/live")
                connection.getresponse().read()
                self._answered = clock()
            except (OSError, HTTPException) as error:
                logger.warning("It does not answer itself: %s", type(error).__name__)
        return Look(self._answered)
