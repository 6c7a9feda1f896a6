"""The fleet under test, for ``celery -A tests.chaos.app worker``."""

from __future__ import annotations

from kombu import Exchange, Queue

from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.queues import QueueSpec
from shared.routing import TaskSpec
from shared.secret import SecretStr
from tests.chaos.setup import QUEUE, Setup, load_setup
from tests.chaos.tasks import BLOCK, WORK, add_tasks


def fleet(setup: Setup) -> FleetCelery:
    """Return a fleet of one broker and one queue."""
    arguments = {"x-queue-type": "quorum"} if setup.quorum else {}
    app = FleetCelery(
        "chaos",
        brokers=Brokers([Broker("only", SecretStr(setup.broker))]),
        queues=[
            QueueSpec(
                queue=Queue(QUEUE, Exchange("chaos", type="direct"), QUEUE, queue_arguments=arguments),
                broker="only",
                service="chaos",
            )
        ],
        tasks=[TaskSpec(WORK, QUEUE), TaskSpec(BLOCK, QUEUE)],
        state=SecretStr(setup.state) if setup.state else None,
    )
    app.conf.broker_transport_options = dict(setup.options or {})
    return app


def __getattr__(name: str) -> FleetCelery:
    """Make the app when Celery's command line asks for it."""
    if name != "app":
        raise AttributeError(name)
    setup = load_setup()
    app = fleet(setup)
    add_tasks(app, setup)
    globals()["app"] = app
    return app
