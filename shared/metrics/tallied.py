"""What tasks counted, in this process and in its children."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from shared.tallies import TALLIES, Key

MEANINGS = {tally.name: tally.meaning for tally in TALLIES}


class TallyCollector(Collector):
    """Reads the tallies at each scrape.

    Args:
        hostname: The part of the worker's node name after the ``@``.
        read: Returns what was counted; see ``shared.tallies.read_tallies``.
    """

    def __init__(self, hostname: str, read: Callable[[], Mapping[Key, int]]) -> None:
        self._hostname = hostname
        self._read = read

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Yield a counter for each name that was counted under."""
        families: dict[str, CounterMetricFamily] = {}
        for (name, labels), count in sorted(self._read().items()):
            pairs = [label.partition("=") for label in labels]
            if name not in families:
                meaning = MEANINGS.get(name, "Counted by tasks.")
                families[name] = CounterMetricFamily(name, meaning, labels=["hostname", *(pair[0] for pair in pairs)])
            families[name].add_metric([self._hostname, *(pair[2] for pair in pairs)], count)
        return families.values()
