"""kombu's Redis transport with the fleet's scale of priorities."""

from __future__ import annotations

from kombu.transport import redis

from shared.priorities import LEAST_URGENT, MOST_URGENT


class Channel(redis.Channel):
    """Keeps a list for each of the ten priorities and polls the most urgent one first.

    The value itself is not turned round: message properties stay true, and priority 0 stays in the list that
    bears the plain name of the queue, so that tools which measure that list go on working.
    """

    priority_steps = tuple(range(MOST_URGENT, LEAST_URGENT - 1, -1))

    def priority(self, n: int) -> int:
        """Return the step of a priority: itself."""
        return max(LEAST_URGENT, min(MOST_URGENT, n))


class Transport(redis.Transport):
    """Chosen by ``FleetCelery`` for every ``redis://`` broker."""

    Channel = Channel
