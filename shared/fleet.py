"""Switchyard's own fleet: the app of each service, as one instance of ``FleetCelery``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shared.arguments import LargeArguments
from shared.bounds import Bounds
from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.names import BrokerName, ServiceName
from shared.queues import QUEUES
from shared.results.large import LargeResults
from shared.secret import SecretStr
from shared.settings import load_settings
from shared.storage import Storage
from shared.tasks import MESSAGE_VERSION, TASKS
from shared.worker.health import Health
from shared.worker.metrics_server import MetricsServer

HOME_BROKER = {
    ServiceName.EMAIL_WORKER: BrokerName.CRITICAL,
    ServiceName.FILE_WORKER: BrokerName.BATCH,
    ServiceName.CORE: BrokerName.DEFAULT,
}
HAVE_STORAGE = frozenset({ServiceName.FILE_WORKER, ServiceName.CORE})
"""The services that see the storage; mail has no business there, so its results and arguments stay out of it."""


def switchyard_defaults() -> dict[str, Any]:
    """Return Switchyard's Celery settings: where results are kept, how long, and a beat that reports its health."""
    settings = load_settings()
    return {
        "result_backend": settings.results_url.get_secret_value(),
        "result_expires": settings.results_expire_seconds,
        "beat_scheduler": "shared.beat:ReportingScheduler",
    }


def service_defaults() -> dict[str, Any]:
    """Return the Celery settings of a service: Switchyard's, and whether monitors are told of each task."""
    told = load_settings().task_events
    return {**switchyard_defaults(), "worker_send_task_events": told, "task_send_sent_event": told}


def switchyard_state() -> SecretStr:
    """Return the URL of the shared state, from the environment."""
    return load_settings().state_url


def switchyard_large_results() -> LargeResults:
    """Return where large results lie: in the storage of the settings."""
    settings = load_settings()
    return LargeResults(Storage(settings.storage), settings.results_inline_bytes)


def switchyard_large_arguments() -> LargeArguments:
    """Return where large arguments lie, and for how long: in the storage of the settings."""
    settings = load_settings()
    return LargeArguments(Storage(settings.storage), timedelta(days=settings.arguments_expire_days))


def switchyard_bounds() -> Bounds:
    """Return the bounds of the settings."""
    settings = load_settings()
    return Bounds(message_bytes=settings.message_max_bytes, delayed_tasks=settings.delayed_max_tasks)


def switchyard_chord_deadline() -> float:
    """Return how many seconds a chord has for which no deadline is given, as the settings say."""
    return load_settings().chord_deadline_seconds


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
        defaults=service_defaults,
        state=switchyard_state,
        large_results=switchyard_large_results if service in HAVE_STORAGE else None,
        large_arguments=switchyard_large_arguments if service in HAVE_STORAGE else None,
        bounds=switchyard_bounds,
        chord_deadline=switchyard_chord_deadline,
        message_version=MESSAGE_VERSION,
        **options,
    )
    app.steps["worker"].update({Health, MetricsServer})
    return app
