"""Messages for RabbitMQ that go out together, and their confirmations: the server numbers what comes over a channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from amqp.exceptions import MessageNacked

from shared.deadlines import at_most, time_left
from shared.handover import message_leaves
from shared.prepared.message import Prepared, Wired
from shared.transports.batches import Batch
from shared.transports.framing import frames, method_of

CONFIRM_WITHIN_SECONDS = 5.0
WRITTEN_AT_ONCE_BYTES = 128 * 1024
"""A write costs 15 µs of CPU, whether it is of one message or of some hundred."""


class Unsettled(Batch):
    """Messages of which the server has not said what became of them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[int, int] = {}
        """The number of each, by its delivery tag."""
        self._frames: list[bytes] = []
        self._size = 0
        self._ids: dict[str, int] = {}
        """The numbers of prepared messages, by the id that the server sends them back under."""

    def heed(self, events: Mapping[str, set[Callable[..., None]]]) -> None:
        """Begin to heed what the server says over a channel."""
        for event, callback in self._callbacks().items():
            events[event].add(callback)

    def ignore(self, events: Mapping[str, set[Callable[..., None]]]) -> None:
        """Heed it no more."""
        for event, callback in self._callbacks().items():
            events[event].discard(callback)

    def _callbacks(self) -> dict[str, Callable[..., None]]:
        return {"basic_ack": self._confirmed, "basic_nack": self._refused, "basic_return": self._returned}

    def expect(self, tag: int, task_id: str | None) -> None:
        """Note that the next message is published under a delivery tag."""
        if task_id is not None:
            self._ids[task_id] = self.count
        self.tags[tag] = self.count
        self.count += 1

    def gather(self, frames: bytes) -> bool:
        """Keep what is to be written; tell whether that is enough for one write."""
        self._frames.append(frames)
        self._size += len(frames)
        return self._size >= WRITTEN_AT_ONCE_BYTES

    def gathered(self) -> bytes:
        """Return what is to be written, once."""
        frames, self._frames, self._size = b"".join(self._frames), [], 0
        return frames

    def _confirmed(self, delivery_tag: int, multiple: bool) -> None:
        self.taken.update(self._settled(delivery_tag, multiple) - self.refused)

    def _refused(self, delivery_tag: int, multiple: bool) -> None:
        self.refused.update(self._settled(delivery_tag, multiple))

    def _returned(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        # It is confirmed all the same, right after this.
        number = self._ids.get(message.properties.get("correlation_id"))
        if number is not None:
            self.refused.add(number)

    def _settled(self, delivery_tag: int, multiple: bool) -> set[int]:
        """Return the numbers of the messages that are meant, which are settled now."""
        meant = [tag for tag in self.tags if tag <= delivery_tag] if multiple else [delivery_tag]
        return {self.tags.pop(tag) for tag in meant if tag in self.tags}


class PublishesTogether:
    """Part of the RabbitMQ channel: takes prepared messages, and waits once for the confirmations of several."""

    _together: Unsettled | None = None
    """What is published together now."""
    _returned: Exception | None = None
    """Why a message was sent back, if one was."""
    _methods: dict[Prepared, bytes]
    """How prepared messages are published, encoded."""

    @contextmanager
    def together(self) -> Iterator[Batch]:
        """Wait at the end of a ``with`` block until the server has all that was published inside.

        It yields what becomes of each.

        Raises:
            amqp.ChannelError: No queue took a mandatory message; the others were taken.
            amqp.MessageNacked: The server could not take one.
            OSError: No connection, or no answer in time.
        """
        with self.ahead() as batch:
            yield batch
        self.settle(batch)

    @contextmanager
    def ahead(self: Any) -> Iterator[Unsettled]:
        """Write what is published in a ``with`` block, and wait for nothing; ``settle`` has to follow.

        Raises:
            OSError: No connection, or the server takes nothing.
        """
        self._returned, self._together = None, Unsettled()
        batch = self._together
        batch.heed(self.events)
        try:
            yield batch
            self.write_gathered()
        except BaseException:
            batch.ignore(self.events)
            raise
        finally:
            self._together = None

    def settle(self: Any, batch: Unsettled) -> None:
        """Wait until the server has all that was published ``ahead``.

        Raises:
            amqp.ChannelError, amqp.MessageNacked, OSError: As ``together`` raises them.
        """
        try:
            with at_most(CONFIRM_WITHIN_SECONDS):
                while batch.tags:
                    self._wait_for_settling()
        finally:
            batch.ignore(self.events)
        if self._returned is None and batch.refused:
            raise MessageNacked(f"RabbitMQ could not take {len(batch.refused)} of the messages")
        self._raise_returned()

    def put_prepared(self: Any, message: Wired) -> None:
        """Publish a prepared message as ``basic_publish`` does; one of several ``together`` is written with others.

        Raises:
            amqp.ChannelError, amqp.MessageNacked, OSError: As ``basic_publish`` raises them.
        """
        prepared = message.prepared
        method = self._methods.get(prepared)
        if method is None:
            method = self._methods[prepared] = method_of(prepared)
        content = frames(self.channel_id, method, message.content, self.connection.frame_max)
        batch = self._together
        if batch is None:
            self._send(lambda: self._write(content), CONFIRM_WITHIN_SECONDS)
            self._settle(CONFIRM_WITHIN_SECONDS)
            return
        self._select_confirms()
        self._published += 1
        batch.expect(self._published, message.id)
        if batch.gather(content):
            self.write_gathered()

    def write_gathered(self: Any) -> None:
        """Write what was put together so far, before anything else goes over the channel.

        Raises:
            OSError: No connection, or the server takes nothing.
        """
        if self._together is not None and (content := self._together.gathered()):
            self.connection.wait_until_unblocked()
            with self.connection.transport.having_timeout(time_left(CONFIRM_WITHIN_SECONDS)):
                message_leaves()
                self._write(content)

    def _write(self: Any, content: bytes) -> None:
        self.connection.transport.write(content)
        self.connection.bytes_sent += 1  # as py-amqp counts frames: by it a heartbeat is spared


class Ahead(NamedTuple):
    """Messages that were written, and that nobody has waited for yet."""

    channel: PublishesTogether | None = None
    batch: Unsettled | None = None
    may_have_left: bool = False
    """Whether any of them may be in the broker."""


NOTHING_AHEAD = Ahead()
