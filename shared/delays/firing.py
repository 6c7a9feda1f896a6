"""A firing of an entry of beat: noted in shared state in the one step in which its message is stored, or not at all.

| key                 | kind | what is in it                                                           |
|---------------------|------|-------------------------------------------------------------------------|
| ``fleet.beat.<app>``| hash | entry → how often it was fired, a blank, when it was last, in ISO 8601  |
| ….paused            | hash | the entries that somebody paused, see ``shared.pauses``                 |
| ….skipped           | hash | entry → its number when it was skipped last, a blank, when it was fired last |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NamedTuple, Self

from shared.pauses import PauseTable
from shared.state import State

KEY = "fleet.beat."

SKIP = """
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then return 0 end
local kept = redis.call('HGET', KEYS[1], ARGV[1]) or '0 '
local number, last = string.match(kept, '^(%d+) (.*)$')
if number ~= ARGV[2] then return kept end
local before, fired = string.match(redis.call('HGET', KEYS[3], ARGV[1]) or '', '^(%d+) (.*)$')
if before ~= number then fired = number == '0' and '' or last end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[1], string.match(ARGV[3], '^%d+') .. ' ' .. fired)
return 1
"""
"""Counts a firing of a paused entry as one that happened, so that no beat makes up for it when it is resumed."""


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

    @property
    def pauses(self) -> PauseTable:
        """The entries that are paused."""
        return PauseTable(self._state, f"{self.key}.paused")

    def skip_if_paused(self, firing: Firing) -> bool:
        """Leave a firing out if its entry is paused; it is told when another beat was first.

        Returns:
            Whether the entry is paused.
        """
        keys = [self.key, f"{self.key}.paused", f"{self.key}.skipped"]
        values: list[Any] = [firing.entry, firing.known, firing.then.encode()]
        answer: Any = self._state.client.register_script(SKIP)(keys=keys, args=values)
        if isinstance(answer, bytes):
            firing.instead = Runs.decode(answer)
        return bool(answer)

    def known(self) -> dict[str, KnownRuns]:
        """Return what is known of every entry that a beat ever took up."""
        pipeline = self._state.client.pipeline()
        pipeline.hgetall(self.key)
        pipeline.hgetall(f"{self.key}.skipped")
        kept, skipped = pipeline.execute()
        return {name.decode(): _known(Runs.decode(runs), skipped.get(name, b"")) for name, runs in kept.items()}


class KnownRuns(NamedTuple):
    """What is known of an entry."""

    runs: Runs
    """What its next time is counted from; those that were left out are among them."""
    fired: datetime | None
    """When it was fired last; ``None`` when never."""


def _known(runs: Runs, skipped: bytes) -> KnownRuns:
    number, _, fired = skipped.decode().partition(" ")
    if number == str(runs.number):
        return KnownRuns(runs, datetime.fromisoformat(fired) if fired else None)
    return KnownRuns(runs, runs.last if runs.number else None)
