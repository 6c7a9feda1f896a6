"""How often a key may ask: a bucket of tokens for each, in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

MOST_BUCKETS = 10_000
BURST_SECONDS = 10
"""A bucket holds the tokens of so many seconds, and at least one: a page asks for several things at once."""


class Rates:
    """Counts requests by key; safe in threads.

    Args:
        per_second: How often each key may ask in the long run.
        clock: Gives the time in seconds.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        self._clock = clock
        self._lock = Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take a token; return 0, or in how many seconds there will be one."""
        with self._lock:
            now = self._clock()
            tokens, at = self._buckets.pop(key, (self._most, now))
            tokens = min(self._most, tokens + (now - at) * self._per_second)
            taken = tokens >= 1
            self._buckets[key] = (tokens - taken, now)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
            return 0.0 if taken else (1 - tokens) / self._per_second
