"""Bounds on labels: Prometheus keeps a series for each value that a label ever had."""

from __future__ import annotations

from typing import ClassVar


class Folded:
    """Lets so many different values through as there is room for, the first that come; others become ``other``."""

    OTHER: ClassVar[str] = "other"

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def fold(self, value: str) -> str:
        """Return the value, or ``other``."""
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return self.OTHER
        self._known.add(value)
        return value
