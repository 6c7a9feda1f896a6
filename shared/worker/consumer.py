"""Celery's consumer for a fleet."""

from __future__ import annotations

import logging
from typing import Any

from celery.worker.consumer import Consumer

logger = logging.getLogger(__name__)


class FleetConsumer(Consumer):
    """Consumes only queues that this worker's broker owns, also when remote control asks for others."""

    def add_task_queue(self, queue: str, *args: Any, **options: Any) -> None:
        """Begin to consume a queue, as ``celery control add_consumer`` asks; refuse one of another broker."""
        owner = self.app.routing.owners.get(str(queue))
        if owner != self.app.broker.alias:
            where = f"belongs to broker {owner}" if owner else "is not in the queue table"
            logger.error(
                "Queue %s %s; this worker is on %s and does not serve it.", queue, where, self.app.broker.alias
            )
            return
        super().add_task_queue(queue, *args, **options)
