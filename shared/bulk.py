"""Publishing in bulk: brokers are asked for one answer for some hundred messages, and not for one each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from kombu import Connection
from kombu.serialization import dumps

from shared.brokers import Broker
from shared.prepared.message import Wired
from shared.producers import Collected, PublishFailed

if TYPE_CHECKING:
    from celery import Signature
    from celery.result import AsyncResult

    from shared.celery_app import FleetCelery

MOST_MESSAGES = 500
"""After so many messages to one broker they are sent; larger batches gain nothing more."""
MOST_BYTES = 1 << 20
"""After so many bytes of arguments, too: a batch has to get through within the time of one publish."""


@contextmanager
def bulk() -> Iterator[Bulk]:
    """Publish in bulk what a fleet's app publishes inside a ``with`` block, in this thread or greenlet.

    Some hundred messages go out together; what is left goes when the block ends, and from then on the brokers have
    all of it.  Inside the block ``delay()`` returns before that.  Tasks with a countdown or an eta are stored one by
    one, as ever.  A block inside another is part of it.

    A block that ends with an error drops what has not gone out yet; what has, stays.

    Raises:
        PublishFailed: A broker did not take some of the messages; ``sent`` says whether any of that batch may have
            arrived, and ``unsent`` and ``unknown`` which.  It is raised by the publish that fills a batch, or at the
            end of the block.
    """
    outer = bulk_under_way()
    if outer is not None:
        yield outer
        return
    own = Bulk()
    token = _bulk.set(own)
    try:
        yield own
        own.send()
    except PublishFailed as failed:
        failed.unsent = (*failed.unsent, *own.left())
        raise
    finally:
        _bulk.reset(token)


def publish_many(signatures: Iterable[Signature], **options: Any) -> list[AsyncResult]:
    """Publish signatures in bulk, and return their results once the brokers have them all.

    Of what is not collected in the result nothing is kept: a generator may yield any number.

    Args:
        signatures: Of single tasks or of whole canvases; publish those of one task one after the other.
        options: For each of them, as ``apply_async`` takes them.

    Raises:
        PublishFailed: A broker did not take some.  Its ``unsent`` and ``unknown`` hold the ids of those that are not
            there, and of those that may be; the brokers have all others that were published before it was raised.
    """
    with bulk():
        return [signature.apply_async(**options) for signature in signatures]


class Expects(Protocol):
    """A result store that listens for results from before their tasks are published."""

    def expect(self, task_ids: Collection[str]) -> None:
        """Listen for the results of tasks."""


class Bulk:
    """What is published in bulk now, by app and broker."""

    def __init__(self) -> None:
        self._producers: dict[tuple[FleetCelery, str], BulkProducer] = {}
        self._expected: dict[Expects, dict[str, None]] = {}
        self._last: tuple[Any, str] | None = None

    def producer(self, app: FleetCelery, broker: Broker) -> BulkProducer:
        """Return what takes the messages of an app for a broker."""
        producer = self._producers.get((app, broker.alias))
        if producer is None:
            producer = self._producers[app, broker.alias] = BulkProducer(self, app, broker)
        return producer

    def expect(self, store: Expects, task_id: str) -> None:
        """Have a result store told of a task, before its message is sent."""
        self._expected.setdefault(store, {})[task_id] = None

    def tell(self) -> None:
        """Tell the result stores of the tasks whose messages are sent next."""
        expected, self._expected = self._expected, {}
        for store, task_ids in expected.items():
            store.expect(task_ids)

    def text_of(self, chord: Any, encode: Callable[[Any], str]) -> str:
        """Return the body of a chord as JSON; that of the last one is kept, for its members follow each other."""
        if self._last is None or self._last[0] is not chord:
            self._last = (chord, encode(chord))
        return self._last[1]

    def left(self) -> list[str]:
        """Return the ids of the tasks whose messages were not sent yet."""
        return [task_id for producer in self._producers.values() for task_id in producer.left()]

    def send(self) -> None:
        """Send what is left."""
        self.tell()
        for producer in self._producers.values():
            producer.send()


class BulkProducer:
    """Collects messages for one broker; it is all of a ``kombu.Producer`` that Celery uses."""

    def __init__(self, batch: Bulk, app: FleetCelery, broker: Broker) -> None:
        self._batch = batch
        self._app = app
        self._broker = broker
        self._messages: list[Wired | Collected] = []
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
        coding = {"content_type": content_type, "content_encoding": content_encoding}
        self._take(Collected(str(options.get("correlation_id")), body, {**options, **coding}), len(body))

    def take(self, message: Wired) -> None:
        """Take a prepared message, and send all when they are many.

        Raises:
            PublishFailed: The broker did not take them.
        """
        self._take(message, message.size)

    def _take(self, message: Wired | Collected, size: int) -> None:
        self._messages.append(message)
        self._bytes += size
        if len(self._messages) >= MOST_MESSAGES or self._bytes >= MOST_BYTES:
            self.send()

    def left(self) -> list[str]:
        """Return the ids of the tasks whose messages were not sent yet."""
        return [message.id for message in self._messages]

    def send(self) -> None:
        """Send all messages that were taken since the last time.

        Raises:
            PublishFailed: The broker did not take them.
        """
        messages, self._messages, self._bytes = self._messages, [], 0
        if messages:
            self._batch.tell()
            with self._app.amqp.pools[self._broker].acquire(block=True) as producer:
                producer.publish_together(messages, self._app.conf.task_publish_retry_policy)


_bulk: ContextVar[Bulk | None] = ContextVar("bulk", default=None)


def bulk_under_way() -> Bulk | None:
    """Return what is published in bulk here and now, if anything is."""
    return _bulk.get()
