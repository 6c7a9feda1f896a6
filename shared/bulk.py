"""Publishing in bulk: brokers are asked for one answer for some hundred messages, and not for one each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from kombu import Connection
from kombu.serialization import dumps

from shared.brokers import Broker

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

MOST_MESSAGES = 500
"""After so many messages to one broker they are sent; larger batches gain nothing more."""
MOST_BYTES = 1 << 20
"""After so many bytes of arguments, too: a batch has to get through within the time of one publish."""


@contextmanager
def bulk() -> Iterator[None]:
    """Publish in bulk what a fleet's app publishes inside a ``with`` block, in this thread or greenlet.

    Some hundred messages go out together; what is left goes when the block ends, and from then on the brokers have
    all of it.  Inside the block ``delay()`` returns before that.  Tasks with a countdown or an eta are stored one by
    one, as ever.  A block inside another is part of it.

    A block that ends with an error drops what has not gone out yet; what has, stays.

    Raises:
        PublishFailed: A broker did not take some of the messages; ``sent`` says whether any of that batch may have
            arrived.  It is raised by the publish that fills a batch, or at the end of the block.
    """
    if bulk_under_way() is not None:
        yield
        return
    own = Bulk()
    token = _bulk.set(own)
    try:
        yield
        own.send()
    finally:
        _bulk.reset(token)


class Bulk:
    """What is published in bulk now, by app and broker."""

    def __init__(self) -> None:
        self._producers: dict[tuple[FleetCelery, str], BulkProducer] = {}

    def producer(self, app: FleetCelery, broker: Broker) -> BulkProducer:
        """Return what takes the messages of an app for a broker."""
        return self._producers.setdefault((app, broker.alias), BulkProducer(app, broker))

    def send(self) -> None:
        """Send what is left."""
        for producer in self._producers.values():
            producer.send()


class BulkProducer:
    """Collects messages for one broker; it is all of a ``kombu.Producer`` that Celery uses."""

    def __init__(self, app: FleetCelery, broker: Broker) -> None:
        self._app = app
        self._broker = broker
        self._messages: list[tuple[Any, dict[str, Any]]] = []
        self._bytes = 0

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
        self._messages.append((body, {**options, "content_type": content_type, "content_encoding": content_encoding}))
        self._bytes += len(body)
        if len(self._messages) >= MOST_MESSAGES or self._bytes >= MOST_BYTES:
            self.send()

    def send(self) -> None:
        """Send all messages that were taken since the last time.

        Raises:
            PublishFailed: The broker did not take them.
        """
        messages, self._messages, self._bytes = self._messages, [], 0
        if messages:
            with self._app.amqp.pools[self._broker].acquire(block=True) as producer:
                producer.publish_together(messages, self._app.conf.task_publish_retry_policy)


_bulk: ContextVar[Bulk | None] = ContextVar("bulk", default=None)


def bulk_under_way() -> Bulk | None:
    """Return what is published in bulk here and now, if anything is."""
    return _bulk.get()
