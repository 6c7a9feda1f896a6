"""py-amqp as bare as it gets with confirms: what a publisher that nobody wrote a framework around could reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import amqp

WAIT_SECONDS = 10.0


def connection_to(url: str) -> amqp.Connection:
    """Return a connection, not yet opened."""
    parts = urlsplit(url)
    return amqp.Connection(
        f"{parts.hostname}:{parts.port}",
        userid=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        virtual_host=unquote(parts.path.removeprefix("/")) or "/",
    )


class Confirmed:
    """A channel that publishes messages to a queue, and waits until the server has them all.

    Args:
        url: Of the server.
        queue: Made when missing.
    """

    def __init__(self, url: str, queue: str) -> None:
        self._connection = connection_to(url)
        self._queue = queue
        self._sent = self._confirmed = 0

    def __enter__(self) -> Self:
        self._connection.connect()
        self._channel = self._connection.channel()
        self._channel.queue_declare(self._queue, durable=True, auto_delete=False)
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def publish(self, messages: Sequence[Any]) -> None:
        """Publish messages one after the other, and wait once."""
        for message in messages:
            self._channel.basic_publish(message, "", self._queue)
        self._sent += len(messages)
        while self._confirmed < self._sent:
            self._connection.drain_events(timeout=WAIT_SECONDS)

    def _note(self, delivery_tag: int, multiple: bool) -> None:  # noqa: ARG002 - one by one they come in order too
        self._confirmed = max(self._confirmed, delivery_tag)
