"""What a worker counts of its tasks, in its parent process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from threading import Lock

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.events import Event, Outcome, TaskEnded, TaskReceived, TaskStarted
from shared.metrics.counts import Counts, Spread
from shared.metrics.folding import Folded

LABELS = ("name", "hostname", "queue_name", "broker")
MOST_EXCEPTIONS = 64
"""Classes of exceptions that have a series of their own."""
MOST_REMEMBERED = 4096
"""Triples of task, queue and broker whose counts are found without a look at the labels."""


class WorkerMetrics(Collector):
    """Counts the tasks of one worker; subscribe ``on_event`` to the app of the worker.

    Args:
        hostname: The part of the worker's node name after the ``@``.
        ready: Is asked at each scrape whether the worker is ready.
        tasks: The tasks that have series of their own; any other is ``other``.
        queues: The same for queues.
        served: The broker of each queue that the worker serves.
        processes: Is asked at each scrape how many processes, threads or greenlets it has.
    """

    def __init__(
        self,
        hostname: str,
        ready: Callable[[], bool],
        *,
        tasks: Iterable[str],
        queues: Iterable[str],
        served: Mapping[str, str],
        processes: Callable[[], int],
    ) -> None:
        self._hostname = hostname
        self._ready = ready
        self._tasks, self._queues = frozenset(tasks), frozenset(queues)
        self._served = dict(served)
        self._processes = processes
        self._exceptions = Folded(MOST_EXCEPTIONS)
        self._lock = Lock()
        self._remembered: dict[tuple[str, str, str], Counts] = {}
        self._counts: dict[tuple[str, ...], Counts] = {}

    def on_event(self, event: Event) -> None:
        """Count one event."""
        with self._lock:
            counts = self._remembered.get((event.task, event.queue, event.broker)) or self._find(event)
            if isinstance(event, TaskEnded):
                self._count_end(counts, event)
            elif isinstance(event, TaskStarted):
                counts.started += 1
                if event.waited is not None:
                    counts.waited.add(event.waited)
            elif isinstance(event, TaskReceived):
                counts.received += 1
                counts.redelivered += event.redelivered

    def collect(self) -> Iterable[Metric]:
        """Yield the counts of every task, and what is known of the worker."""
        with self._lock:
            families = [*self._counters(), self._failures(), *self._histograms()]
            active = sum(counts.active for counts in self._counts.values())
        return [*families, *self._worker(active), *self._queues_served()]

    def _count_end(self, counts: Counts, event: TaskEnded) -> None:
        if event.outcome is Outcome.FAILED:
            counts.failures[self._exceptions.fold(event.exception or "UnknownException")] += 1
        else:
            counts.ended[event.outcome] += 1
        if event.seconds is not None:
            counts.ran.add(event.seconds)

    def _find(self, event: Event) -> Counts:
        task = event.task if event.task in self._tasks else Folded.OTHER
        queue = event.queue if event.queue in self._queues else Folded.OTHER
        counts = self._counts.setdefault((task, self._hostname, queue, event.broker), Counts())
        if len(self._remembered) < MOST_REMEMBERED:
            self._remembered[event.task, event.queue, event.broker] = counts
        return counts

    def _counters(self) -> Iterator[Metric]:
        yield self._counter("celery_task_received", "Messages that the worker took.", lambda counts: counts.received)
        yield self._counter(
            "switchyard_task_redelivered",
            "Messages among them that had been handed out before.",
            lambda counts: counts.redelivered,
        )
        yield self._counter("celery_task_started", "Executions handed to the pool.", lambda counts: counts.started)
        for outcome in Outcome:
            if outcome is not Outcome.FAILED:
                name, meaning = f"celery_task_{outcome}", f"Executions that ended as {outcome}."
                yield self._counter(name, meaning, partial(_ended, outcome))

    def _counter(self, name: str, meaning: str, number: Callable[[Counts], int]) -> Metric:
        family = CounterMetricFamily(name, meaning, labels=LABELS)
        for labels, counts in self._counts.items():
            family.add_metric(labels, number(counts))
        return family

    def _failures(self) -> Metric:
        family = CounterMetricFamily(
            "celery_task_failed", "Executions that ended as failed.", labels=(*LABELS, "exception")
        )
        for labels, counts in self._counts.items():
            for exception, count in counts.failures.items():
                family.add_metric((*labels, exception), count)
        return family

    def _histograms(self) -> Iterator[Metric]:
        yield self._histogram("celery_task_runtime", "Seconds that executions ran.", lambda counts: counts.ran)
        yield self._histogram(
            "celery_task_queue_wait_time",
            "Seconds from publishing, or from the eta, to the start.",
            lambda counts: counts.waited,
        )

    def _histogram(self, name: str, meaning: str, spread: Callable[[Counts], Spread]) -> Metric:
        family = HistogramMetricFamily(name, meaning, labels=LABELS)
        for labels, counts in self._counts.items():
            found = spread(counts)
            family.add_metric(labels, list(found.buckets()), found.total)
        return family

    def _worker(self, active: int) -> Iterator[Metric]:
        for name, meaning, value in (
            ("celery_worker_tasks_active", "Executions running now.", active),
            ("celery_worker_up", "1 while the worker runs.", 1),
            (
                "switchyard_worker_ready",
                "1 while the worker is connected and takes the work that waits.",
                int(self._ready()),
            ),
        ):
            family = GaugeMetricFamily(name, meaning, labels=["hostname"])
            family.add_metric([self._hostname], value)
            yield family

    def _queues_served(self) -> Iterator[Metric]:
        for name, meaning, value in (
            ("celery_active_worker_count", "1 for each queue that the worker serves.", 1),
            (
                "celery_active_process_count",
                "Processes, threads or greenlets that the worker has for its queues.",
                self._processes(),
            ),
        ):
            family = GaugeMetricFamily(name, meaning, labels=("hostname", "queue_name", "broker"))
            for queue, broker in self._served.items():
                family.add_metric((self._hostname, queue, broker), value)
            yield family


def _ended(outcome: Outcome, counts: Counts) -> int:
    return counts.ended[outcome]
