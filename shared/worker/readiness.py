"""Whether a worker does its work: policy alone, fed with what the worker sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

STALLED_AFTER_SECONDS = 15.0
"""How long work may wait for a free worker.  Three questions to the broker, so that one slow answer is no alarm."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a worker sees at one moment."""

    broker: str
    """The alias of its broker."""
    queues: Iterable[str]
    """The queues that it should consume now: those that remote control paused are not among them."""
    connected: bool
    """Whether it consumes over a connection that stands, as far as it knows."""
    answered: float
    """When its broker last answered how much work waits."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """That answer: messages by queue, without those that workers hold."""
    taken: Mapping[str, int] = field(default_factory=dict)
    """How many messages of each queue it ever took."""
    can_take: bool = True
    """Whether it has a free slot, and may hold one more message."""


class Readiness:
    """Finds a worker that takes nothing although work waits for it and it is free.

    The look at the broker is what tells a worker that lost its consumer from one that has nothing to do: both have a
    connection that stands.
    """

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._waits_since: dict[str, float] = {}

    def why_not(self, now: float, seen: Seen) -> str | None:
        """Return why the worker is not ready, or ``None`` when it is.

        Args:
            now: The time in seconds, by the clock of ``seen.answered``; never less than at the last call.
            seen: What the worker sees now.
        """
        stalled = self._stalled(now, seen)
        if not seen.connected:
            return f"it has no connection to broker {seen.broker}"
        if now - seen.answered > STALLED_AFTER_SECONDS:
            return f"broker {seen.broker} has not answered for {now - seen.answered:.0f} s"
        if stalled:
            queue, since = stalled
            return f"work waits in {queue}, a slot is free, and none was taken for {now - since:.0f} s"
        return None

    def _stalled(self, now: float, seen: Seen) -> tuple[str, float] | None:
        """Return the queue from which none was taken for too long, and since when; notes what is seen."""
        waits_since = {}
        for queue in seen.queues if seen.connected and seen.can_take else ():
            if seen.waiting.get(queue) and seen.taken.get(queue, 0) == self._taken.get(queue, 0):
                waits_since[queue] = self._waits_since.get(queue, now)
        self._waits_since = waits_since
        self._taken = dict(seen.taken)
        longest = min(waits_since.items(), key=lambda entry: entry[1], default=None)
        return longest if longest and now - longest[1] >= STALLED_AFTER_SECONDS else None
