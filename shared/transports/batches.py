"""What became of messages that are published together."""

from __future__ import annotations


class Batch:
    """Messages that are published together, each known by its number in their order, from 0."""

    def __init__(self) -> None:
        self.count = 0
        self.taken: set[int] = set()
        """The numbers of those that the server said it has."""
        self.refused: set[int] = set()
        """The numbers of those that it said it has not taken."""
