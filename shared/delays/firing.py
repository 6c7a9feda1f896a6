"""A firing of an entry of beat: noted in shared state in the one step in which its message is stored, or not at all.

| key                 | kind | what is in it                                                           |
|---------------------|------|-------------------------------------------------------------------------|
| ``fleet.beat.<app>``| hash | entry → how often it was fired, a blank, when it was last, in ISO 8601  |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NamedTuple, Self

from shared.state import State

KEY = "fleet.beat."


class Runs(NamedTuple):
    """How often an entry was fired, and when it last was."""

    number: int
    last: datetime
    """With its timezone, where the schedule of the entry knows one."""

    def encode(self) -> str:
        """Return them as they are kept; the script of the table reads the number."""
        return f"{self.number} {self.last.isoformat()}"

    @classmethod
    def decode(cls, kept: bytes) -> Self:
        """Return them from what is kept."""
        number, _, last = kept.decode().partition(" ")
        return cls(int(number), datetime.fromisoformat(last))


class Firing:
    """The next firing of an entry, as one of several beats sees it coming.

    Args:
        key: Where the runs of the schedule are kept.
        entry: The name of the entry.
        known: How often it was fired, as far as this beat knows.
        then: What is to be kept when this firing was the next.
    """

    def __init__(self, key: str, entry: str, known: int, then: Runs) -> None:
        self.key = key
        self.entry = entry
        self.known = known
        self.then = then
        self.instead: Runs | None = None
        """What was kept already: another beat was first, and nothing was stored."""


_firing: ContextVar[Firing | None] = ContextVar("firing", default=None)


@contextmanager
def under_way(firing: Firing) -> Iterator[None]:
    """Store what is published in the block only if the firing is the next of its entry; it waits for no time."""
    token = _firing.set(firing)
    try:
        yield
    finally:
        _firing.reset(token)


def firing_under_way() -> Firing | None:
    """Return the firing whose message is published here, if it is one of beat."""
    return _firing.get()


class RunsTable:
    """The runs of one app's schedule.  Every method may raise ``redis.RedisError``."""

    def __init__(self, state: State, app: str) -> None:
        self._state = state
        self.key = f"{KEY}{app}"

    def begin(self, entries: Mapping[str, datetime]) -> dict[str, Runs]:
        """Return the runs of entries; those of one that nobody knew begin with the given time."""
        if not entries:
            return {}
        pipeline = self._state.client.pipeline()
        for name, now in entries.items():
            pipeline.hsetnx(self.key, name, Runs(0, now).encode())
        pipeline.hmget(self.key, list(entries))
        kept: Any = pipeline.execute()[-1]
        return {name: Runs.decode(runs) for name, runs in zip(entries, kept, strict=True)}
