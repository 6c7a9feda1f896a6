"""Celery's persistent scheduler for a fleet."""

from __future__ import annotations

from celery.beat import PersistentScheduler


class FleetScheduler(PersistentScheduler):
    """Publishes each entry through the pool of the broker that owns its queue.

    Celery's holds one producer of the home broker, and waits for that broker before it publishes anything: an outage
    of one broker would stop the entries of all.
    """

    producer = None
