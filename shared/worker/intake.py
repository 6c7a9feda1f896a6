"""What a worker took from its broker: how much of each queue, and how much of it is still held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet


class Intake:
    """Counts deliveries; written by the worker's loop, read from any thread."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._unsettled: WeakSet[Any] = WeakSet()

    def start_anew(self) -> None:
        """Forget what is held: after a reconnect the broker counts deliveries from none."""
        self._unsettled = WeakSet()

    def take(self, queue: str, message: Any) -> None:
        """Note a delivery."""
        self._taken[queue] += 1
        self._unsettled.add(message)

    @property
    def taken(self) -> Mapping[str, int]:
        """How many messages of each queue were ever taken."""
        return self._taken

    @property
    def held(self) -> int:
        """How many messages, of those taken over this connection, are neither acknowledged nor rejected."""
        while True:
            try:
                return sum(not message.acknowledged for message in self._unsettled)
            except RuntimeError:  # the loop took another one meanwhile
                continue
