"""Switchyard's own fleet: the app of each service, as one instance of ``FleetCelery``."""

from __future__ import annotations

from typing import Any

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.names import BrokerName, ServiceName
from shared.queues import QUEUES
from shared.settings import load_settings
from shared.tasks import TASKS
from shared.worker.metrics_server import MetricsServer

HOME_BROKER = {
    ServiceName.EMAIL_WORKER: BrokerName.CRITICAL,
    ServiceName.FILE_WORKER: BrokerName.BATCH,
    ServiceName.CORE: BrokerName.DEFAULT,
}


def switchyard_defaults() -> dict[str, Any]:
    """Return the Celery settings that come from the environment: where results are kept, and how long."""
    settings = load_settings()
    return {
        "result_backend": settings.results_url.get_secret_value(),
        "result_expires": settings.results_expire_seconds,
    }


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
        **options,
    )
    app.steps["worker"].add(MetricsServer)
    return app
