"""What only the brokers know: which of them answers, how much waits, since when, and who consumes it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.depths import BrokerDepths, Measured, QueueDepth

QUEUE = ("queue_name", "broker")


class DepthCollector(Collector):
    """Asks every broker for its depths at each scrape.

    A broker that can't be asked has ``switchyard_broker_up 0`` and no depth: unknown is not zero.
    """

    def __init__(self, brokers: Iterable[BrokerDepths]) -> None:
        self._brokers = tuple(brokers)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield what is known of every queue, and whether each broker answers."""
        families = Families()
        for broker, measured in zip(self._brokers, self._measure_all(), strict=True):
            families.up.add_metric([broker.alias], 0 if measured is None else 1)
            if measured is not None:
                families.add(broker.alias, measured)
        return families.all

    def _measure_all(self) -> list[Measured | None]:
        """Ask all brokers at once: one that hangs does not hold up the others."""
        with ThreadPoolExecutor(len(self._brokers)) as pool:
            return list(pool.map(lambda broker: broker.look(), self._brokers))


class Families:
    """The metrics of one scrape."""

    def __init__(self) -> None:
        self.up = GaugeMetricFamily(
            "switchyard_broker_up", "1 when the broker answered this scrape.", labels=["broker"]
        )
        self.length = GaugeMetricFamily("celery_queue_length", "Messages that wait in the queue.", labels=QUEUE)
        self.ready = GaugeMetricFamily(
            "switchyard_queue_ready", "Messages that wait in the queue, by priority.", labels=(*QUEUE, "priority")
        )
        self.unacknowledged = GaugeMetricFamily(
            "switchyard_queue_unacknowledged", "Messages that workers hold: running or prefetched.", labels=QUEUE
        )
        self.oldest = GaugeMetricFamily(
            "switchyard_queue_oldest_message_seconds",
            "How long the message has waited that has waited longest; 0 when none waits.",
            labels=QUEUE,
        )
        self.consumers = GaugeMetricFamily(
            "celery_active_consumer_count", "Consumers of the queue; RabbitMQ alone knows them.", labels=QUEUE
        )
        self.dead = GaugeMetricFamily(
            "switchyard_dead_letters_on_broker",
            "Messages that were taken out of circulation and that the broker still keeps.",
            labels=["broker"],
        )

    @property
    def all(self) -> tuple[GaugeMetricFamily, ...]:
        """All of them, in the order of the reference."""
        return self.up, self.length, self.ready, self.unacknowledged, self.oldest, self.consumers, self.dead

    def add(self, alias: str, measured: Measured) -> None:
        """Add what a broker said."""
        if measured.dead is not None:
            self.dead.add_metric([alias], measured.dead)
        for depth in measured.queues:
            self._add_queue(alias, depth)

    def _add_queue(self, alias: str, depth: QueueDepth) -> None:
        where = [depth.queue, alias]
        self.length.add_metric(where, depth.ready)
        for family, value in (
            (self.unacknowledged, depth.unacknowledged),
            (self.oldest, depth.oldest_seconds),
            (self.consumers, depth.consumers),
        ):
            if value is not None:
                family.add_metric(where, value)
        for priority, count in depth.by_priority.items():
            self.ready.add_metric([*where, str(priority)], count)
