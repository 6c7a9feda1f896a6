"""The counts of one task, queue and broker: plain numbers, for a task has some microseconds for all of them.

``prometheus_client`` takes a lock and some checks for each of its counters; here one lock covers a whole event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from shared.events import Outcome

RUNTIME_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
WAIT_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
"""The waiting-time buckets of celery-exporter."""


class Spread:
    """How values spread over buckets."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of all values."""

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def buckets(self) -> Iterator[tuple[str, float]]:
        """Return each bound and how many values do not exceed it, as Prometheus wants them."""
        return zip((*(str(float(bound)) for bound in self._bounds), "+Inf"), accumulate(self._counts), strict=True)


class Counts:
    """What is counted of one task, queue and broker; all of it is there from the first message on."""

    __slots__ = ("ended", "failures", "ran", "received", "redelivered", "started", "waited")

    def __init__(self) -> None:
        self.received = 0
        self.redelivered = 0
        self.started = 0
        self.ended = dict.fromkeys(Outcome, 0)
        self.failures: Counter[str] = Counter({"": 0})
        """By class of exception."""
        self.waited = Spread(WAIT_BUCKETS)
        self.ran = Spread(RUNTIME_BUCKETS)

    @property
    def active(self) -> int:
        """Executions that run now."""
        return self.started - self.ran.count
