"""The Celery app of the guide, for ``celery -A fleet.app``."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fleet.tables import QUEUES, STATE_DATABASE, TASKS
from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults
from shared.secret import SecretStr
from shared.settings import load_settings


def state() -> SecretStr:
    """Return where this fleet keeps shared state: on the Redis of the settings, in a database of its own.

    What waits there is published by whichever worker finds it due, and that has to know the queue.
    """
    url = urlsplit(load_settings().state_url.get_secret_value())
    return SecretStr(url._replace(path=f"/{STATE_DATABASE}").geturl())


def fleet(**options: Any) -> FleetCelery:
    """Make an app over the tables, with the brokers and the result store of the settings."""
    return FleetCelery(
        "guide",
        brokers=switchyard_brokers,
        queues=QUEUES,
        tasks=TASKS,
        defaults=switchyard_defaults,
        state=state,
        **options,
    )


app = fleet(include=["fleet.tasks"])
