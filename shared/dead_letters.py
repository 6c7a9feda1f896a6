"""Dead letters: messages that were taken out of circulation, kept whole with the reason.

They stay on the broker that they came from: on Redis in the list ``fleet.dead``, on RabbitMQ in the queue
``fleet.dead``.
"""

from __future__ import annotations

import base64
import json
import time
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why a message was taken out."""

    UNDECODABLE = "undecodable"


def unreadable_letter(payload: bytes, *, queue: str, reason: Reason, detail: str) -> bytes:
    """Return the dead letter of a message that could not even be read.

    Args:
        payload: The message as it lay in the broker.
        queue: Where it lay.
        reason: Why it was taken out.
        detail: What went wrong with it.
    """
    letter: dict[str, Any] = {"queue": queue, "reason": reason, "detail": detail, "at": time.time()}
    try:
        letter["payload"] = payload.decode()
    except UnicodeDecodeError:
        letter["payload_base64"] = base64.b64encode(payload).decode()
    return json.dumps(letter).encode()
