"""Celery's monitoring events, sent without holding up whoever sends them."""

from __future__ import annotations

from typing import Any

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher

from shared.deadlines import at_most
from shared.producers import FleetProducer

SEND_WITHIN_SECONDS = 1.0
"""How long an event may hold up the loop of a worker, which has to notice in the same time that its broker is gone."""


class BoundedDispatcher(EventDispatcher):
    """Sends events within a second, or keeps them for later.

    A worker says every two seconds from its loop that it is there.  Celery's dispatcher tries that for ever: while the
    broker did not answer, the loop would stand still, and not even a request to stop were heard.
    """

    def enable(self) -> None:
        """Begin to send; as Celery's own, with another producer."""
        with self.mutex:
            self.producer = FleetProducer(
                self.channel or self.connection, exchange=self.exchange, serializer=self.serializer, auto_declare=False
            )
            self._closed = False
            self.enabled = True
        for callback in self.on_enabled:
            callback()

    def _publish(self, *args: Any, **options: Any) -> None:
        with at_most(SEND_WITHIN_SECONDS):
            super()._publish(*args, **options)


class FleetEvents(Events):
    """``app.events`` of a fleet."""

    dispatcher_cls = "shared.event_dispatcher:BoundedDispatcher"
