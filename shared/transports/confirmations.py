"""The confirmations of messages that are published together: RabbitMQ numbers what comes over a channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import MessageNacked

from shared.deadlines import at_most

CONFIRM_WITHIN_SECONDS = 5.0


class Unsettled:
    """Messages of which the server has not said what became of them."""

    def __init__(self) -> None:
        self.tags: set[int] = set()
        self.refused: set[int] = set()
        """Those of which it said that it could not take them."""

    @contextmanager
    def heeding(self, events: Mapping[str, set[Callable[..., None]]]) -> Iterator[None]:
        """Heed what the server says over a channel, for the length of a ``with`` block."""
        events["basic_ack"].add(self._confirmed)
        events["basic_nack"].add(self._refused)
        try:
            yield
        finally:
            events["basic_ack"].discard(self._confirmed)
            events["basic_nack"].discard(self._refused)

    def _confirmed(self, delivery_tag: int, multiple: bool) -> None:
        self.tags -= self._meant(delivery_tag, multiple)

    def _refused(self, delivery_tag: int, multiple: bool) -> None:
        meant = self._meant(delivery_tag, multiple)
        self.tags -= meant
        self.refused |= meant

    def _meant(self, delivery_tag: int, multiple: bool) -> set[int]:
        return {tag for tag in self.tags if tag <= delivery_tag} if multiple else self.tags & {delivery_tag}


class PublishesTogether:
    """Part of the RabbitMQ channel: publishes several messages, and waits once for the confirmations of all."""

    _together: Unsettled | None = None
    """What is published together now."""
    _returned: Exception | None = None
    """Why a message was sent back, if one was."""

    @contextmanager
    def together(self: Any) -> Iterator[None]:
        """Wait at the end of a ``with`` block until the server has all that was published inside.

        Raises:
            amqp.ChannelError: No queue took a mandatory message; the others were taken.
            amqp.MessageNacked: The server could not take one.
            OSError: No connection, or no answer in time.
        """
        self._returned, self._together = None, Unsettled()
        with self._together.heeding(self.events):
            try:
                yield
                with at_most(CONFIRM_WITHIN_SECONDS):
                    while self._together.tags:
                        self._wait_for_settling()
                refused = self._together.refused
            finally:
                self._together = None
        if refused:
            raise MessageNacked(f"RabbitMQ could not take {len(refused)} of the messages")
        self._raise_returned()
