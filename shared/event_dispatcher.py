"""Celery's monitoring events, sent without holding up whoever sends them."""

from __future__ import annotations

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher

from shared.producers import FleetProducer


class BoundedDispatcher(EventDispatcher):
    """Sends events within some seconds, or keeps them for later.

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


class FleetEvents(Events):
    """``app.events`` of a fleet."""

    dispatcher_cls = "shared.event_dispatcher:BoundedDispatcher"
