"""Replies to a remote control command, from the workers of several brokers at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from threading import Lock
from time import monotonic
from typing import Any

from kombu import Connection

LOOK_EVERY_SECONDS = 0.1
"""How soon who listens on one broker notices that the last answer came on another."""


class Replies:
    """Who was asked by name, and has not answered yet, on whatever broker.

    kombu ends its wait on a broker when as many answers have come there as nodes were named.  Over several brokers no
    one of them hears so many, and each would wait its whole time.

    Args:
        named: Nodes that were named; without any, all that come within the time are heard.
        told: Is told of each reply as it comes, as Celery's ``callback``.
    """

    def __init__(self, named: Iterable[str], told: Callable[[dict[str, Any]], Any] | None = None) -> None:
        self._silent = set(named)
        self._ends = bool(self._silent)
        self._told = told
        self._telling = Lock()

    def note(self, reply: dict[str, Any]) -> None:
        """Take a reply: node name → answer."""
        self._silent.difference_update(reply)
        if self._told is not None:
            with self._telling:  # who prints answers of several lines prints one after the other
                self._told(reply)

    @property
    def complete(self) -> bool:
        """Whether everyone who was named has answered."""
        return self._ends and not self._silent

    def over(self, connection: Connection) -> Any:
        """Return a connection, which is listened to until all the replies are there."""
        return _Heard(connection, self)


class _Heard:
    """A connection of kombu's, on which nothing more is awaited when all the replies are there."""

    def __init__(self, connection: Connection, replies: Replies) -> None:
        self._connection = connection
        self._replies = replies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def drain_events(self, timeout: float | None = None) -> Any:
        """Wait for an event.

        Raises:
            TimeoutError: None came in time, or none is awaited any more.
        """
        ends = math.inf if timeout is None else monotonic() + timeout
        while not self._replies.complete and (left := ends - monotonic()) > 0:
            try:
                return self._connection.drain_events(timeout=min(left, LOOK_EVERY_SECONDS))
            except TimeoutError:
                continue
        raise TimeoutError
