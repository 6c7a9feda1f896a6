"""Messages of RabbitMQ whose properties py-amqp can't decode: they are delivered all the same, to be kept.

AMQP allows what Python has no value for: text that is no UTF-8, a time of the year 10,000.  py-amqp raises such an
error in the middle of the connection, which no worker survives, and the broker hands out the message again and again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from amqp.basic_message import Message
from amqp.method_framing import frame_handler

HEADER_FRAME = 2
FIXED_PART = 12
"""Bytes of a header frame before the properties: class, weight, size of the body."""
UNREADABLE_HEADER = "fleet.unreadable"
"""Stands in the place of all properties, and holds their bytes as base64."""
CANNOT_DECODE = (ValueError, OverflowError, OSError, LookupError, ArithmeticError)


def tolerant_frame_handler(*args: Any, **options: Any) -> Callable[[Any], Any]:
    """Return py-amqp's handler of frames, which reads properties that can't be decoded as a single header."""
    handle = frame_handler(*args, **options)

    def handle_or_replace(frame: tuple[int, int, Any]) -> Any:
        kind, channel, content = frame
        if kind != HEADER_FRAME:
            return handle(frame)
        try:
            return handle(frame)
        except CANNOT_DECODE:
            return handle((kind, channel, without_properties(bytes(content))))

    return handle_or_replace


def without_properties(content: bytes) -> bytes:
    """Return a header frame with its properties wrapped into one header."""
    wrapped = Message(application_headers={UNREADABLE_HEADER: base64.b64encode(content[FIXED_PART:]).decode()})
    return content[:FIXED_PART] + bytes(wrapped._serialize_properties())  # noqa: SLF001 - as py-amqp's own writer
