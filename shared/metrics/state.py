"""What only shared state knows: how many tasks wait for their time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

import redis
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)


class DelayedCollector(Collector):
    """Asks shared state at each scrape how many tasks wait for their time; no metric when it does not answer.

    Args:
        owners: The alias of the broker of each queue.
        count: Returns how many wait for each queue that some wait for.
    """

    def __init__(self, owners: Mapping[str, str], count: Callable[[], Mapping[str, int]]) -> None:
        self._owners = owners
        self._count = count

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the count of every queue."""
        delayed = GaugeMetricFamily(
            "switchyard_queue_delayed",
            "Tasks with a countdown or an eta that wait outside the queue for their time.",
            labels=["queue_name", "broker"],
        )
        try:
            waiting = self._count()
        except (redis.RedisError, OSError) as error:
            logger.warning("Shared state can't be asked for delayed tasks: %s", type(error).__name__)
            return ()
        for queue, broker in self._owners.items():
            delayed.add_metric([queue, broker], waiting.get(queue, 0))
        return (delayed,)
