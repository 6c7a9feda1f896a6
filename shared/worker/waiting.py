"""How much work waits for a worker, asked of its broker over a connection of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from kombu import Connection

from shared.brokers import BrokerKind
from shared.health import clock

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

ASK_EVERY_SECONDS = 5.0
ANSWER_WITHIN_SECONDS = 3.0
TIME_LIMITS: Mapping[BrokerKind, Mapping[str, float]] = {
    BrokerKind.REDIS: {
        "socket_timeout": ANSWER_WITHIN_SECONDS,
        "socket_connect_timeout": ANSWER_WITHIN_SECONDS,
    },
    BrokerKind.RABBITMQ: {"read_timeout": ANSWER_WITHIN_SECONDS, "write_timeout": ANSWER_WITHIN_SECONDS},
}


class WaitingWork:
    """Asks the broker of a worker, every five seconds from a thread, how many messages wait in the worker's queues.

    The connection is kept between questions: a fleet that connects every few seconds fills the log of a RabbitMQ.
    """

    def __init__(self, app: FleetCelery) -> None:
        self.answered = clock()
        """When the broker last answered."""
        self.messages: Mapping[str, int] = {}
        """That answer: messages by queue, without those that workers hold."""
        self._app = app
        self._connection: Connection | None = None
        self._channel: Any = None
        self._ended = Event()

    def start(self) -> None:
        """Begin to ask."""
        Thread(target=self._run, name="waiting-work", daemon=True).start()

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.messages = self._ask()
                self.answered = clock()
            except Exception as error:  # noqa: BLE001 - whatever a driver raises: there was no answer
                logger.debug("Broker %s did not say how much work waits: %s", self._app.broker, type(error).__name__)
                self._disconnect()
            self._ended.wait(ASK_EVERY_SECONDS)
        self._disconnect()

    def _ask(self) -> dict[str, int]:
        channel = self._channel or self._connect()
        # On Redis a queue without messages does not exist, and to declare it makes nothing.
        passive = self._app.broker.kind is BrokerKind.RABBITMQ
        return {
            queue: int(channel.queue_declare(queue, passive=passive).message_count)
            for queue in tuple(self._app.amqp.queues.consume_from)
        }

    def _connect(self) -> Any:
        broker = self._app.broker
        self._connection = self._app.connection_for_read(
            broker.alias, connect_timeout=ANSWER_WITHIN_SECONDS, transport_options=dict(TIME_LIMITS[broker.kind])
        )
        self._connection.connect()  # unlike default_channel it does not try for ever
        self._channel = self._connection.channel()
        return self._channel

    def _disconnect(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Exception):  # it is of no use any more, whatever its driver says
                connection.collect(socket_timeout=ANSWER_WITHIN_SECONDS)
