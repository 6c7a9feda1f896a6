"""How large a message may be: it is encoded before a producer has it, measured, and refused when it is too large.

Arguments of a task that takes large ones go to storage instead; see ``shared.arguments``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from kombu.compression import compress
from kombu.exceptions import EncodeError
from kombu.serialization import dumps

from shared.errors import PublishError

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery


class MessageTooLarge(PublishError, EncodeError):  # an EncodeError fails the task whose next step can't be published
    """A message is larger than the fleet's bound (``Bounds.message_bytes``); nothing was sent."""

    @classmethod
    def of(cls, task: str, size: int, most: int) -> Self:
        """Make the error for a task; it shows nothing of the arguments."""
        return cls(
            f"The message of task {task!r} has {size} bytes, and {most} is the most (YARD_MESSAGE_MAX_BYTES); nothing "
            "was sent. Put a large argument into storage with app.stored(value), declare the task with "
            "large_arguments=True, or hand on a path."
        )


class Encoded(NamedTuple):
    """The body of a message as it is sent."""

    content: str | bytes
    content_type: str
    content_encoding: str
    compression: str | None
    """The content type of the compression, for the header of that name."""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        content = self.content
        return len(content) if isinstance(content, bytes) or content.isascii() else len(content.encode())


def encode(body: Any, serializer: str | None, compression: str | None) -> Encoded:
    """Encode a body, and compress it where that is asked for.

    Raises:
        kombu.exceptions.EncodeError: It can't be encoded.
    """
    content_type, content_encoding, content = dumps(body, serializer=serializer)
    if not compression:
        return Encoded(content, content_type, content_encoding, None)
    compressed, used = compress(content, compression)
    return Encoded(compressed, content_type, content_encoding, used)


class MeasuringProducer:
    """Stands before a producer, and gives it the message of a task encoded, and never one that is too large.

    Everything else, such as an event about the task, it passes on.
    """

    def __init__(self, app: FleetCelery, producer: Any, task: str) -> None:
        self._app = app
        self._producer = producer
        self._task = task
        self.given: dict[str, Any] = {}
        """What it was given beside body and headers of the task."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def publish(self, body: Any, *, headers: dict[str, Any] | None = None, **options: Any) -> Any:
        """Publish a message.

        Raises:
            MessageTooLarge, ArgumentNotStored: Nothing was sent.
            kombu.exceptions.EncodeError: An argument can't be encoded.  Nothing was sent.
        """
        if not is_task(body, headers or {}):
            return self._producer.publish(body, headers=headers, **options)
        self.given = dict(options)
        message = self._fitting(body, options.pop("serializer", None), options.pop("compression", None))
        if message.compression:
            headers = {**(headers or {}), "compression": message.compression}
        return self._producer.publish(
            message.content,
            headers=headers,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            **options,
        )

    def _fitting(self, body: Any, serializer: str | None, compression: str | None) -> Encoded:
        message, most = encode(body, serializer, compression), self._app.bounds.message_bytes
        if message.size <= most:
            return message
        large = self._app.large_arguments_of(self._task)
        if large is not None and not isinstance(body, dict):  # as it is in the first protocol
            if self._app.recorder is not None:  # it keeps what the task will get, and writes no file
                return message
            args, kwargs, embedded = body
            message = encode((*large.offloaded(args, kwargs), embedded), serializer, compression)
        refuse_too_large(self._task, message.size, most)
        return message


def is_task(body: Any, headers: Mapping[str, Any]) -> bool:
    """Tell whether a message is that of a task, of either protocol, and no event."""
    return "task" in headers or (isinstance(body, dict) and "task" in body)


def refuse_too_large(task: str, size: int, most: int) -> None:
    """Refuse a message that has more bytes than the most.

    Raises:
        MessageTooLarge: It has.  Nothing was sent.
    """
    if size > most:
        raise MessageTooLarge.of(task, size, most)
