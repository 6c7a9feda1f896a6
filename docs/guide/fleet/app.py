"""The Celery app of the guide, for ``celery -A fleet.app``."""

from __future__ import annotations

from typing import Any

from fleet.tables import QUEUES, TASKS
from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state


def fleet(**options: Any) -> FleetCelery:
    """Make an app over the tables, with the brokers, the result store and the shared state of the settings."""
    return FleetCelery(
        "guide",
        brokers=switchyard_brokers,
        queues=QUEUES,
        tasks=TASKS,
        defaults=switchyard_defaults,
        state=switchyard_state,
        **options,
    )


app = fleet(include=["fleet.tasks"])
