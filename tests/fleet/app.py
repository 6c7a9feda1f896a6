"""The Celery app of the test fleet, for ``celery -A tests.fleet.app``."""

from __future__ import annotations

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from tests.fleet.tables import QUEUES, TASKS


def fleet(of: type[FleetCelery] = FleetCelery, **options) -> FleetCelery:
    return of(
        "try",
        brokers=switchyard_brokers,
        queues=QUEUES,
        tasks=TASKS,
        home=BrokerName.DEFAULT,
        defaults=switchyard_defaults,
        **{"state": switchyard_state, **options},
    )


app = fleet(include=["tests.fleet.tasks"])
