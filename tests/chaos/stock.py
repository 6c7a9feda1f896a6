"""Plain Celery with the settings under which it loses least, for ``celery -A tests.chaos.stock worker``."""

from __future__ import annotations

from celery import Celery
from kombu import Exchange, Queue

from tests.chaos.setup import QUEUE, Setup, load_setup
from tests.chaos.tasks import add_tasks

VISIBILITY_SECONDS = 10


def stock(setup: Setup) -> Celery:
    """Return an app of one broker and one queue."""
    app = stock_with_defaults(setup)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,
        broker_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
    )
    return app


def stock_with_defaults(setup: Setup) -> Celery:
    """Return an app of one broker and one queue, of which nothing else is set."""
    app = Celery("stock", broker=setup.broker, set_as_current=False)
    app.conf.update(
        task_queues=[Queue(QUEUE, Exchange("chaos", type="direct"), QUEUE)],
        task_default_queue=QUEUE,
    )
    return app


def __getattr__(name: str) -> Celery:
    """Make an app when Celery's command line asks for it: ``app``, or ``defaults``."""
    if name not in ("app", "defaults"):
        raise AttributeError(name)
    setup = load_setup()
    made = (stock if name == "app" else stock_with_defaults)(setup)
    add_tasks(made, setup)
    globals()[name] = made
    return made
