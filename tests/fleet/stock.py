"""A plain Celery app, to measure what the guide says of Celery: ``celery -A tests.fleet.stock``.

The environment variable ``STOCK_BROKER`` says where its broker is.
"""

from __future__ import annotations

import os
import time

import redis
from celery import Celery
from kombu import Queue

from shared.settings import load_settings

BROKER = "STOCK_BROKER"
NOTES = "stock:notes"


class Stock(Celery):
    """Celery, but that it closes the connections to its result store as well: it leaves them to the collector."""

    def close(self):
        if (store := self._backend) is not None:
            store.result_consumer.stop()
            store.client.close()
        super().close()


def stock(broker: str, **settings) -> Celery:
    """An app on one broker, with the tasks below and Celery's own settings but for some."""
    app = Stock("stock", broker=broker, backend=settings.pop("backend", results_url()), set_as_current=False)
    app.conf.update(settings)
    for task in (echo, fail, note, sleep, total, failed):
        app.task(name=f"stock.{task.__name__}", shared=False)(task)
    return app


def results_url() -> str:
    return load_settings().results_url.get_secret_value()


def notes() -> redis.Redis:
    return redis.Redis.from_url(results_url(), decode_responses=True)


def echo(*values):
    return values[0] if len(values) == 1 else list(values)


def fail():
    raise ValueError("as asked")


def note(text):
    with notes() as client:
        client.rpush(NOTES, text)


def sleep(seconds):
    note("began")
    time.sleep(seconds)
    return "slept"


def total(numbers):
    return sum(numbers)


def failed(request, error, _):
    note(f"failed {request.id}")


def prioritised(name: str) -> Queue:
    return Queue(name, routing_key=name, queue_arguments={"x-max-priority": 9})


EVERY_SECOND = {
    "every second": {"task": "stock.echo", "schedule": 1.0, "args": (1,), "options": {"queue": "stock.here"}}
}

app = stock(os.environ[BROKER], beat_schedule=EVERY_SECOND) if BROKER in os.environ else None
