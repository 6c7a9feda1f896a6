"""Whether a broker can do what the queues of a worker ask of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kombu import Connection, Queue
from kombu.utils.text import version_string_as_tuple

from shared.errors import InvalidTable

QUORUM_PRIORITIES_SINCE = (4, 3)
"""Source: https://www.rabbitmq.com/docs/quorum-queues#priorities"""


def refuse_unfit(connection: Connection, queues: Iterable[Queue]) -> None:
    """Refuse to serve quorum queues where urgency counts on a RabbitMQ that does not know it there.

    Raises:
        InvalidTable: The broker is older than 4.3.
    """
    if connection.transport.driver_type != "amqp":
        return
    unfit = [queue.name for queue in queues if is_prioritised_quorum(queue)]
    version = str(connection.connection.server_properties.get("version") or "")
    if unfit and version and version_string_as_tuple(version)[:2] < QUORUM_PRIORITIES_SINCE:
        raise InvalidTable(
            f"RabbitMQ {version} has no priorities in quorum queues; 4.3 has. Make {', '.join(map(repr, unfit))} "
            "classic, or leave out prioritised."
        )


def is_prioritised_quorum(queue: Any) -> bool:
    """Tell whether a queue is declared quorum, and prioritised."""
    arguments = queue.queue_arguments or {}
    return bool(getattr(queue, "prioritised", False)) and arguments.get("x-queue-type") == "quorum"
