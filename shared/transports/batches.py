"""Messages that are published together, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from shared.prepared.message import Wired


class Collected(NamedTuple):
    """A message that waits to be published together with others."""

    id: str
    """Of its task."""
    body: str | bytes
    """Encoded."""
    options: Mapping[str, Any]
    """What ``kombu.Producer.publish`` takes besides."""


Message: TypeAlias = Wired | Collected
"""One of several that are published together."""


class Batch:
    """Messages that are published together, each known by its number in their order, from 0."""

    def __init__(self) -> None:
        self.count = 0
        self.taken: set[int] = set()
        """The numbers of those that the server said it has."""
        self.refused: set[int] = set()
        """The numbers of those that it said it has not taken."""
