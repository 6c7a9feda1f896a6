"""What was heard of tasks and is not in the ledger yet, within a bound."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from threading import Lock

from services.core.history.sightings import Sighting, merged

MOST_TASKS = 20_000
"""About forty megabytes, and minutes of a busy fleet."""


class Buffer:
    """Merges what is told of the same task, and counts the tasks for which there is no room.

    Args:
        most: How many tasks it holds.
    """

    def __init__(self, most: int = MOST_TASKS) -> None:
        self._most = most
        self._kept: dict[str, Sighting] = {}
        self._lock = Lock()
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, sightings: Iterable[Sighting]) -> None:
        """Add what was heard; a task for which there is no room is dropped and counted."""
        with self._lock:
            for heard in sightings:
                known = self._kept.get(heard.id)
                if known is not None:
                    self._kept[heard.id] = merged(known, heard)
                elif len(self._kept) < self._most:
                    self._kept[heard.id] = heard
                else:
                    self._dropped += 1

    def take(self, most: int) -> list[Sighting]:
        """Take out the tasks of which was heard first."""
        with self._lock:
            taken = list(islice(self._kept.values(), most))
            for known in taken:
                del self._kept[known.id]
        return taken

    def dropped(self) -> int:
        """Return how many were dropped since this was asked last."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped
