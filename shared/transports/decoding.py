"""Bodies of messages, decoded as kombu does, in half the time where they are plain JSON."""

from __future__ import annotations

import json
from typing import Any

from kombu.utils.json import loads as kombu_loads

JSON = "application/json"
decode = json.JSONDecoder().decode
MARKED = "__type__", b"__type__"
"""The key under which kombu notes the type of what JSON has no form for."""


class PlainMessage:
    """Part of a message."""

    def _decode(self: Any) -> Any:
        """Return what the body says.

        kombu builds a decoder for each body, and looks at each dictionary in it for what it stands for: 5 µs.
        """
        body = self.body
        if self.content_type == JSON and (self.accept is None or JSON in self.accept) and is_plain(body):
            try:
                return decode(body if isinstance(body, str) else body.decode())
            except (ValueError, RecursionError):
                pass  # kombu says what is wrong
        return super()._decode()  # type: ignore[misc]


def is_plain(body: Any) -> bool:
    """Tell whether JSON holds nothing that kombu marked as another type."""
    if isinstance(body, str):
        return MARKED[0] not in body
    return isinstance(body, bytes) and MARKED[1] not in body


def loads(text: str) -> Any:
    """Return what JSON says, as kombu's own ``loads`` does.

    Raises:
        ValueError: It is none.
    """
    return decode(text) if MARKED[0] not in text else kombu_loads(text)
