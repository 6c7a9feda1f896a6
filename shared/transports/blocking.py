"""A RabbitMQ that takes no messages, for lack of memory or disk, and says so over each connection that publishes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TELL_WITHIN_SECONDS = 5.0
"""How long a publish waits until the server takes messages again."""


class Blocked(TimeoutError):
    """RabbitMQ takes no messages, for lack of memory or disk; the connection is well, and kept."""

    def __init__(self) -> None:
        super().__init__("RabbitMQ takes no messages, for lack of memory or disk (see its log)")


class Blockable:
    """Part of the RabbitMQ connection: knows whether the server takes messages, and waits until it does."""

    blocked = False
    """Whether the server has said that it takes no messages now."""
    _patient = True

    def takes_nothing(self) -> bool:
        """Read what the server has said meanwhile; tell whether it takes no messages now.

        Raises:
            OSError: The connection is gone.
        """
        while self._read_what_is_there():
            pass
        return self.blocked

    def wait_until_unblocked(self) -> None:
        """Read what the server has said meanwhile, and wait while it takes no messages.

        Raises:
            Blocked: It has taken no messages for too long.
            OSError: The connection is gone.
        """
        while self._read_what_is_there() or self.blocked:
            if self.blocked:
                self._wait_for_word()

    @contextmanager
    def without_patience(self) -> Iterator[None]:
        """Raise ``Blocked`` as soon as the server says that it takes no messages, for the length of a ``with`` block.

        Raises:
            OSError: The connection is gone.
        """
        if self.blocked and self.takes_nothing():
            raise Blocked
        self._patient = False
        try:
            yield
        finally:
            self._patient = True

    def _read_what_is_there(self: Any) -> bool:
        try:
            self.drain_events(timeout=0)
        except TimeoutError:
            return False
        return True

    def _wait_for_word(self: Any) -> None:
        try:
            self.drain_events(timeout=TELL_WITHIN_SECONDS)
        except TimeoutError:
            raise Blocked from None

    def _on_blocked(self: Any) -> None:
        self.blocked = True
        super()._on_blocked()  # type: ignore[misc]
        if not self._patient:
            raise Blocked

    def _on_unblocked(self: Any) -> None:
        self.blocked = False
        super()._on_unblocked()  # type: ignore[misc]
