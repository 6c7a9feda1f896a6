"""Switchyard's own fleet: the app of each service, as one instance of ``FleetCelery``."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.names import BrokerName, ServiceName
from shared.queues import QUEUES
from shared.results.large import LargeResults
from shared.settings import load_settings
from shared.storage import Storage
from shared.tasks import TASKS
from shared.worker.health import Health
from shared.worker.metrics_server import MetricsServer

HOME_BROKER = {
    ServiceName.EMAIL_WORKER: BrokerName.CRITICAL,
    ServiceName.FILE_WORKER: BrokerName.BATCH,
    ServiceName.CORE: BrokerName.DEFAULT,
}
HAVE_STORAGE = frozenset({ServiceName.FILE_WORKER, ServiceName.CORE})
"""The services that see the storage; mail has no business there, so its results stay in the result store."""


def switchyard_defaults() -> dict[str, Any]:
    """Return Switchyard's Celery settings: where results are kept, how long, and a beat that reports its health."""
    settings = load_settings()
    return {
        "result_backend": settings.results_url.get_secret_value(),
        "result_expires": settings.results_expire_seconds,
        "beat_scheduler": "shared.beat:ReportingScheduler",
    }


def switchyard_state() -> SecretStr:
    """Return the URL of the shared state, from the environment."""
    return load_settings().state_url


def switchyard_large_results() -> LargeResults:
    """Return where large results lie: in the storage of the settings."""
    settings = load_settings()
    return LargeResults(Storage(settings.storage), settings.results_inline_bytes)


def switchyard_app(service: ServiceName, **options: Any) -> FleetCelery:
    """Make the Celery app of a service; reads no environment and opens no connection until it is used.

    Args:
        service: Whose app it is; its queues on its home broker are those of a worker without ``-Q``.
        options: What ``Celery`` takes, such as ``include``.
    """
    app = FleetCelery(
        service.value,
        brokers=switchyard_brokers,
        queues=QUEUES,
        tasks=TASKS,
        home=HOME_BROKER[service],
        service=service,
        defaults=switchyard_defaults,
        state=switchyard_state,
        large_results=switchyard_large_results if service in HAVE_STORAGE else None,
        **options,
    )
    app.steps["worker"].update({Health, MetricsServer})
    return app
