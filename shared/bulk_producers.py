"""What is published in bulk, on its way to one broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from kombu import Connection
from kombu.serialization import dumps

from shared.brokers import Broker
from shared.handover import hand_over
from shared.prepared.message import Wired
from shared.producers import PublishFailed
from shared.transports.batches import Collected, Message

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

MOST_MESSAGES = 500
"""After so many messages to one broker they are sent; larger batches gain nothing more."""
MOST_BYTES = 1 << 20
"""After so many bytes of messages, too: a batch has to get through within the time of one publish."""


class BulkProducer:
    """Collects messages for one broker; it is all of a ``kombu.Producer`` that Celery uses.

    Args:
        app: Whose messages they are.
        broker: Where they go.
        taken: Called after each message that was taken.
    """

    def __init__(self, app: FleetCelery, broker: Broker, taken: Callable[[], None]) -> None:
        self._taken = taken
        self._app = app
        self._broker = broker
        self._messages: list[Message] = []
        self._bytes = 0
        self._flight: Flight | None = None
        """What was sent last, when nobody has waited for it yet."""

    @property
    def connection(self) -> Connection:
        """The connection from which those of the broker's pool are made; nobody has connected it."""
        return self._app.amqp.pools[self._broker].connections.connection

    @property
    def channel(self) -> Any:
        """A channel of that connection; some result stores declare a queue for replies."""
        return self.connection.default_channel

    def revive(self, channel: Any) -> None:
        """Do nothing: there is no connection to make anew."""

    def publish(
        self,
        body: Any,
        *,
        serializer: str | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        retry: bool = False,  # noqa: ARG002 - a batch is always tried again
        retry_policy: Mapping[str, Any] | None = None,  # noqa: ARG002 - as the app's settings say
        **options: Any,
    ) -> None:
        """Take a message, encoded already where its content type is known, and send all when they are many.

        Raises:
            kombu.exceptions.EncodeError: An argument can't be encoded.  Nothing was sent of this message.
            PublishFailed: The broker did not take them.
        """
        if content_type is None:
            content_type, content_encoding, body = dumps(body, serializer=serializer)
        coding = {"content_type": content_type, "content_encoding": content_encoding}
        self._take(Collected(str(options.get("correlation_id")), body, {**options, **coding}), len(body))

    def take(self, message: Wired) -> None:
        """Take a prepared message, and send all when they are many.

        Raises:
            PublishFailed: The broker did not take them.
        """
        self._take(message, message.size)

    def _take(self, message: Message, size: int) -> None:
        self._messages.append(message)
        self._bytes += size
        if len(self._messages) >= MOST_MESSAGES or self._bytes >= MOST_BYTES:
            self.send()
        self._taken()

    def left(self) -> list[str]:
        """Return the ids of the tasks whose messages were not sent yet."""
        return [message.id for message in self._messages]

    def send(self, *, last: bool = False) -> None:
        """Send all messages that were taken since the last time, and wait until the broker has those before them.

        While RabbitMQ works them off, the next are made; so a message takes the longer of both times and not their sum,
        which is 65 µs and not 110.

        Args:
            last: Whether to wait for all.

        Raises:
            PublishFailed: The broker did not take them, or those before.
        """
        messages, self._messages, self._bytes = self._messages, [], 0
        with hand_over():
            if messages:
                before, self._flight = self._flight, Flight(self._app, self._broker, messages)
                if before is not None:
                    before.settle()
            if last or (self._flight is not None and not self._flight.may_last):
                self.settle()

    def settle(self) -> None:
        """Wait until the broker has all that was sent.

        Raises:
            PublishFailed: It did not take them.
        """
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.settle()


class Flight:
    """Messages that are on their way to a broker, with the producer that sends them.

    Raises:
        PublishFailed: All producers are in use.  Nothing was sent.
    """

    def __init__(self, app: FleetCelery, broker: Broker, messages: Sequence[Message]) -> None:
        self._messages = messages
        self._policy = app.conf.task_publish_retry_policy
        self._pool = app.amqp.pools[broker]
        with ExitStack() as held:
            try:
                self._producer = held.enter_context(self._pool.acquire(block=True))
            except PublishFailed as failed:
                failed.unsent = tuple(message.id for message in messages)
                raise
            self._ahead = self._producer.publish_ahead(messages)
            self._held = held.pop_all()

    @property
    def may_last(self) -> bool:
        """Whether there is any use in waiting later, and others miss the producer not too much."""
        return self._ahead.batch is not None and self._pool.has_plenty

    def settle(self) -> None:
        """Wait until the broker has all.

        Raises:
            PublishFailed: It did not take them.
        """
        with self._held:
            self._producer.publish_together(self._messages, self._policy, self._ahead)
