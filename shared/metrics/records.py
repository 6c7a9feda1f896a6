"""What is written in records, such as a ledger: read at a scrape, and not more often than every few seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from threading import Lock
from time import monotonic
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

AT_MOST_EVERY_SECONDS = 5.0


class Sample(NamedTuple):
    """One value of a measure."""

    labels: tuple[str, ...]
    value: float


class Measure(NamedTuple):
    """A metric that is read from records."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()


class RecordCollector(Collector):
    """Reads records at a scrape; what can't be read has ``<name> 0`` and no other metric.

    Args:
        up: The metric that says whether the records could be read.
        read: Returns all measures.
        errors: What it raises when the records are out of reach.
    """

    def __init__(self, up: Measure, read: Callable[[], Iterable[Measure]], errors: type[Exception]) -> None:
        self._up = up
        self._read = read
        self._errors = errors
        self._lock = Lock()
        self._found: tuple[Measure, ...] | None = None
        self._found_at = float("-inf")

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield every measure, and whether they could be read."""
        found = self._measures()
        yield GaugeMetricFamily(self._up.name, self._up.meaning, value=0 if found is None else 1)
        for measure in found or ():
            family = GaugeMetricFamily(measure.name, measure.meaning, labels=measure.labels)
            for sample in measure.samples:
                family.add_metric(sample.labels, sample.value)
            yield family

    def _measures(self) -> tuple[Measure, ...] | None:
        with self._lock:
            if monotonic() - self._found_at > AT_MOST_EVERY_SECONDS:
                try:
                    self._found = tuple(self._read())
                except self._errors as error:
                    logger.warning("The records can't be read for metrics: %s", error)
                    self._found = None
                self._found_at = monotonic()
            return self._found
