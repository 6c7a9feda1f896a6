"""How much there may be of what would else grow without end; a bound that is hit says so."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import InvalidTable

MESSAGE_BYTES = 1 << 20
"""Far below what any broker refuses (RabbitMQ 4: 16 MiB), and little enough that a worker may hold some hundred."""
DELAYED_TASKS = 1_000_000
"""A small task takes about a kilobyte of shared state while it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of a fleet.

    Raises:
        InvalidTable: A bound is below 1.
    """

    message_bytes: int = MESSAGE_BYTES
    """The largest body of a message, as it is sent: encoded, and compressed where that is asked for."""
    delayed_tasks: int = DELAYED_TASKS
    """How many tasks may wait for their time in shared state."""

    def __post_init__(self) -> None:
        if min(self.message_bytes, self.delayed_tasks) < 1:
            raise InvalidTable("A bound of a fleet is at least 1.")
