"""One scale of urgency on every broker: 0 to 9, and 9 is the most urgent.

The number travels unchanged in the message.  RabbitMQ's classic queues order by it when they are declared with
``x-max-priority: 9``; on Redis each priority is a list of its own, and ``shared.transports.redis`` polls list 9
first (Celery's own Redis transport reads the scale the other way round and knows four levels).
"""

from __future__ import annotations

from enum import IntEnum

from shared.errors import InvalidPriority

LEAST_URGENT = 0
MOST_URGENT = 9


class Priority(IntEnum):
    """Names for the levels that people use; every whole number from 0 to 9 is allowed."""

    LOW = 0
    NORMAL = 4
    HIGH = 7
    URGENT = 9


def checked(priority: object) -> int:
    """Return the priority as a plain whole number from 0 to 9.

    Raises:
        InvalidPriority: It is anything else.  Nothing was sent.
    """
    if isinstance(priority, int) and not isinstance(priority, bool) and LEAST_URGENT <= priority <= MOST_URGENT:
        return int(priority)
    raise InvalidPriority(
        f"A priority is a whole number from {LEAST_URGENT} (least) to {MOST_URGENT} (most urgent), not {priority!r}."
    )
