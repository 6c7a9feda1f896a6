"""What a channel of Redis holds: each acknowledgement is one step in the server, and nothing is restored by a timer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from kombu.transport import virtual
from kombu.utils.json import dumps

from shared.transports.decoding import PlainMessage
from shared.transports.leases import mark_redelivered

if TYPE_CHECKING:
    from shared.transports.redis import Channel

logger = logging.getLogger(__name__)


_in_the_end: ContextVar[bool] = ContextVar("in_the_end", default=False)


@contextmanager
def in_the_end() -> Iterator[None]:
    """Have what is settled in the block settled later, as long as this process lives, if the server can't be told now.

    It is for work that is over.  Who acknowledges first, and works then, must know whether the server was told.
    """
    token = _in_the_end.set(True)
    try:
        yield
    finally:
        _in_the_end.reset(token)


class Message(PlainMessage, virtual.Message):
    """A message whose ``…_log_error`` methods, by which a worker settles work that is over, do so in the end."""

    def ack_log_error(self, *args: Any, **options: Any) -> None:
        """Acknowledge the message, or log why it will be later."""
        with in_the_end():
            super().ack_log_error(*args, **options)

    def reject_log_error(self, *args: Any, **options: Any) -> None:
        """Reject the message, or log why it will be later; to put it back is tried once."""
        with in_the_end():
            super().reject_log_error(*args, **options)


class QoS(virtual.QoS):
    """What a channel holds, within its prefetch window."""

    channel: Channel
    last_ack_settled = True
    """Whether the last acknowledgement came while the message was still held."""

    def can_consume(self) -> bool:
        """Tell whether there is room in the window, in which also that has its place which runs from before."""
        return not self.prefetch_count or self._taken() < self.prefetch_count

    def can_consume_max_estimate(self) -> int | None:
        """Return for how many messages there is room; ``None`` is for any number."""
        return max(self.prefetch_count - self._taken(), 0) if self.prefetch_count else None

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a delivery; Redis knows of it since it was claimed."""
        super().append(message, delivery_tag)
        self.channel.leases.hold(delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Remove a message for good; one whose lease was lost is another holder's, and stays."""
        self._settle(delivery_tag)
        self.channel.use_room()

    def end(self, delivery_tag: str) -> None:
        """Give up the place of a message whose work is over; its claim is kept until the server knows."""
        self.channel.leases.settle(delivery_tag)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Remove a message for good, or put it back behind the others, marked as redelivered."""
        if requeue:
            self.channel.leases.let_go(delivery_tag)  # first: what can't be given back now goes when its lease runs out
            with self.channel.noticing():
                self.channel.claims.give_back([(delivery_tag, self._marked(delivery_tag))], where="back")
            super().ack(delivery_tag)
        else:
            self._settle(delivery_tag)
        self.channel.use_room()

    def bury(self, delivery_tag: str, letter: bytes) -> None:
        """Put a dead letter in the place of a message, in one step."""
        self._settle(delivery_tag, letter)

    def restore_unacked(self) -> None:
        """Put back what is held, in front and in its old order, marked as redelivered.

        What the keeper of leases keeps stays held: it runs here, and is settled over this channel although that is
        closed.
        """
        self._flush()
        waiting = [tag for tag in self._delivered if not self.channel.leases.keeps(tag)]
        marked = [(tag, self._marked(tag)) for tag in reversed(waiting)]
        for tag in waiting:
            self.channel.leases.let_go(tag)
            del self._delivered[tag]
        try:
            self.channel.claims.give_back(marked, where="front")
        except self.channel.connection_errors as error:
            logger.warning(
                "%d messages can't be given back now, and go back when their leases run out: %s",
                len(marked),
                type(error).__name__,
            )

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: leases are watched by a thread."""

    def _taken(self) -> int:
        return len(self._delivered) - len(self._dirty) + len(self.channel.waiting) + self.channel.leases.carried

    def _settle(self, delivery_tag: str, letter: bytes | None = None) -> None:
        try:
            with self.channel.noticing():
                self.last_ack_settled = self.channel.claims.end(delivery_tag, letter)
        except BaseException:
            if _in_the_end.get():
                self.channel.leases.settle(delivery_tag, letter)
            raise
        self._forget(delivery_tag)  # not before: a greenlet may wait for the answer longer than a lease lasts

    def _forget(self, delivery_tag: str) -> None:
        self.channel.leases.let_go(delivery_tag)
        super().ack(delivery_tag)

    def _marked(self, delivery_tag: str) -> bytes:
        message = self._delivered[delivery_tag]._raw  # noqa: SLF001 - as it came
        return str(dumps(mark_redelivered(message))).encode()
