"""How often a key may ask: a bucket of tokens for each, in shared state or else in this process."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

from redis import RedisError

from shared.limits import KEY, Limit, Limits
from shared.state import State

logger = logging.getLogger(__name__)

MOST_BUCKETS = 10_000
BURST_SECONDS = 10
"""A bucket holds the tokens of so many seconds, and at least one: a page asks for several things at once."""
ANSWER_WITHIN_SECONDS = 0.25
"""How long a request may wait for its token: every one does."""
ALONE_FOR_SECONDS = 10.0
"""How long shared state is not asked when it did not answer."""


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


class SharedRates(Rates):
    """Counts requests by key over all processes of the API; each by itself while shared state does not answer.

    Args:
        state: Shared state, which is asked once for each request; it should be given little time.
        per_second: How often each key may ask in the long run.
        clock: Gives the time in seconds.
    """

    def __init__(self, state: State, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(per_second, clock)
        self._limits = Limits(state)
        self._limit = Limit(1 / per_second, max(1, int(per_second * BURST_SECONDS)))
        self._alone_until = float("-inf")

    def take(self, key: str) -> float:
        """Take a token; return 0, or in how many seconds there will be one."""
        if self._clock() >= self._alone_until:
            try:
                return self._limits.take_now(f"{KEY}api:{key}", self._limit)
            except (RedisError, OSError) as error:
                self._alone_until = self._clock() + ALONE_FOR_SECONDS
                logger.warning("Requests are counted in this process alone for a while: %s", type(error).__name__)
        return super().take(key)
