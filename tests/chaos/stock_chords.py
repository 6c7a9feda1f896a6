"""Plain Celery with the tasks of the chords, for ``celery -A tests.chaos.stock_chords worker``: on one Redis."""

from __future__ import annotations

from celery import Celery
from kombu import Exchange, Queue

from tests.chaos.chord_fleet import BROKERS, ChordSetup, add_tasks, load_setup, queue_of
from tests.chaos.stock import stock, stock_with_defaults


def with_best_settings(setup: ChordSetup) -> Celery:
    """Return an app with the settings under which it loses least."""
    return _with_queues(stock(setup), setup)


def with_defaults(setup: ChordSetup) -> Celery:
    """Return an app that knows its queues and results, and nothing else."""
    return _with_queues(stock_with_defaults(setup), setup)


def _with_queues(app: Celery, setup: ChordSetup) -> Celery:
    names = [queue_of(broker) for broker in BROKERS]
    app.conf.task_queues = [Queue(name, Exchange(name, type="direct"), name) for name in names]
    app.conf.result_backend = setup.results
    return app


def __getattr__(name: str) -> Celery:
    """Make an app when Celery's command line asks for it: ``app``, or ``defaults``."""
    if name not in ("app", "defaults"):
        raise AttributeError(name)
    setup = load_setup()
    made = (with_best_settings if name == "app" else with_defaults)(setup)
    add_tasks(made, setup)
    globals()[name] = made
    return made
