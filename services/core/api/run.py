"""The process of the API: its app, its server, its health."""

from __future__ import annotations

from services.core import bootstrap
from services.core.api.application import create_app
from services.core.api.context import ApiContext
from services.core.api.rates import ANSWER_WITHIN_SECONDS, SharedRates
from services.core.api.server import serve
from services.core.app import app as fleet
from services.core.ledger.migrations import require_current
from services.core.usecases.submit_uploads import remove_left_behind
from shared.metrics import RequestMetrics, exposition, worker_registry
from shared.settings import load_settings


def run(host: str, port: int) -> bool:
    """Serve the API until SIGTERM or Ctrl-C; tell whether it could begin.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one, which the log tells.

    Raises:
        ConfigurationError: The tables of the fleet, or its settings, contradict themselves.
        LedgerOutdated: The tables are missing, or are those of another release.
        LedgerUnavailable: The database is out of reach.
    """
    settings = load_settings()
    require_current(bootstrap.ledger())
    remove_left_behind(bootstrap.storage())
    fleet.set_current()  # a canvas is frozen by the current app
    fleet.finalize()  # now, and not in the thread of the first request
    registry = worker_registry()
    context = ApiContext(
        ledger=bootstrap.ledger(),
        storage=bootstrap.storage(),
        settings=settings,
        exposition=lambda: exposition(registry),
        rates=SharedRates(fleet.state.apart(ANSWER_WITHIN_SECONDS), settings.api_requests_per_second),
    )
    return serve(create_app(context, RequestMetrics(registry)), context, host, port)
