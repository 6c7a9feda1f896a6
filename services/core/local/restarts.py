"""When to start a process again that ended by itself."""

from __future__ import annotations

from collections import deque

LIMIT = 5
WINDOW_SECONDS = 60.0
FIRST_DELAY_SECONDS = 0.5


class RestartBudget:
    """At most five restarts in any minute, each after twice the wait of the one before: 0.5 s … 8 s."""

    def __init__(self) -> None:
        self._restarts: deque[float] = deque()

    def spend(self, now: float) -> float | None:
        """Count one more restart; return the seconds to wait for it, or ``None`` when there were too many.

        Args:
            now: A time in seconds that never runs backwards.
        """
        while self._restarts and self._restarts[0] <= now - WINDOW_SECONDS:
            self._restarts.popleft()
        if len(self._restarts) == LIMIT:
            return None
        self._restarts.append(now)
        return FIRST_DELAY_SECONDS * 2.0 ** (len(self._restarts) - 1)
