"""Tells RabbitMQ that a worker lives while a task runs in its loop, as every task of the solo pool does."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread
from typing import Any

from celery.concurrency.solo import TaskPool as SoloPool

from shared.brokers import BrokerKind
from shared.health import clock

LOOK_EVERY_SECONDS = 1.0
HELD_UP_SECONDS = 2.0
"""After this time without a turn of the loop the thread sends heartbeats in its place.

RabbitMQ gives up a client from which it heard nothing for two intervals, twice ``broker_heartbeat``.
"""


class Heartbeats:
    """Sends heartbeats over the connections of a consumer while its loop stands still; nothing in other pools."""

    def __init__(self) -> None:
        self._ended = Event()

    def start(self, consumer: Any) -> None:
        """Begin, for the connections that the consumer has now."""
        self.end()
        if not isinstance(consumer.pool, SoloPool) or consumer.app.broker.kind is not BrokerKind.RABBITMQ:
            return
        kept = [consumer.connection, getattr(consumer.event_dispatcher, "connection", None)]
        drivers = [connection.connection for connection in kept if connection]
        self._ended = Event()
        Thread(target=self._run, args=(consumer, drivers, self._ended), name="heartbeats", daemon=True).start()

    def end(self) -> None:
        """Send no more."""
        self._ended.set()

    def _run(self, consumer: Any, drivers: list[Any], ended: Event) -> None:
        while not ended.wait(LOOK_EVERY_SECONDS):
            if clock() - consumer.turned < HELD_UP_SECONDS:
                continue
            for driver in drivers:
                with suppress(OSError, AttributeError):  # the loop will find out that it is closed
                    driver.send_heartbeat()
