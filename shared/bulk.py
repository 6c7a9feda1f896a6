"""Publishing in bulk: brokers are asked for one answer for some hundred messages, and not for one each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any

from shared.brokers import Broker
from shared.bulk_producers import BulkProducer
from shared.deadlines import at_most
from shared.producers import PublishFailed

if TYPE_CHECKING:
    from celery import Signature
    from celery.result import AsyncResult

    from shared.celery_app import FleetCelery

LONGEST_WAIT_SECONDS = 0.5
"""After so long what waits goes out with the next message: a generator may be slow."""
ACCOUNT_WITHIN_SECONDS = 0.5
"""How long other brokers are waited for when one has taken nothing for as long as a publish may take."""


@contextmanager
def bulk() -> Iterator[Bulk]:
    """Publish in bulk what a fleet's app publishes inside a ``with`` block, in this thread or greenlet.

    Some hundred messages go out together, or those of half a second; what is left goes when the block ends, and from
    then on the brokers have all of it.  Inside the block ``delay()`` returns before that.  Tasks with a countdown or an
    eta are stored one by one, as ever.  A block inside another is part of it.

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
        own.account_for(failed)
        raise
    except BaseException:
        with suppress(PublishFailed):
            own.settle()
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


class Bulk:
    """What is published in bulk now, by app and broker."""

    def __init__(self) -> None:
        self._sent_at = monotonic()
        """When all was last sent."""
        self._producers: dict[tuple[FleetCelery, str], BulkProducer] = {}
        self._last: tuple[Any, str] | None = None

    def producer(self, app: FleetCelery, broker: Broker) -> BulkProducer:
        """Return what takes the messages of an app for a broker."""
        producer = self._producers.get((app, broker.alias))
        if producer is None:
            producer = self._producers[app, broker.alias] = BulkProducer(app, broker, self._send_now_and_then)
        return producer

    def text_of(self, chord: Any, encode: Callable[[Any], str]) -> str:
        """Return the body of a chord as JSON; that of the last one is kept, for its members follow each other."""
        if self._last is None or self._last[0] is not chord:
            self._last = (chord, encode(chord))
        return self._last[1]

    def send_the_next_at_once(self) -> None:
        """Let the next message wait for no other: a generator may take long for the one after it."""
        self._sent_at = 0.0

    def _send_now_and_then(self) -> None:
        """Send what has waited, to whatever broker: who yields signatures may take long for each."""
        if monotonic() - self._sent_at > LONGEST_WAIT_SECONDS:
            self._sent_at = monotonic()
            for producer in self._producers.values():
                producer.send()

    def send(self) -> None:
        """Send what is left, and wait until the brokers have all."""
        for producer in self._producers.values():
            producer.send(last=True)

    def settle(self) -> None:
        """Wait until the brokers have what was sent."""
        failed = None
        for producer in self._producers.values():
            try:
                producer.settle()
            except PublishFailed as error:
                if failed is None:
                    failed = error
                else:
                    failed.add(error)
        if failed is not None:
            raise failed

    def account_for(self, failed: PublishFailed) -> None:
        """Have an error tell of all messages, also of those that were sent after, or not sent."""
        try:
            with at_most(ACCOUNT_WITHIN_SECONDS):
                self.settle()
        except PublishFailed as other:
            failed.add(other)
        failed.unsent += tuple(task_id for producer in self._producers.values() for task_id in producer.left())


_bulk: ContextVar[Bulk | None] = ContextVar("bulk", default=None)


def bulk_under_way() -> Bulk | None:
    """Return what is published in bulk here and now, if anything is."""
    return _bulk.get()
