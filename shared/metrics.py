"""Prometheus metrics of the fleet; the only importer of ``prometheus_client``.

Names and labels are those of celery-exporter, so that its dashboards and alert rules work, and a ``broker`` label.
"""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIServer

import redis
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from shared.depths import BrokerDepths, QueueDepth
from shared.events import Event, Outcome, TaskEnded, TaskStarted
from shared.health import Verdict

logger = logging.getLogger(__name__)

LABELS = ("name", "hostname", "queue_name", "broker")
SCRAPE_WITHIN_SECONDS = 5.0
RUNTIME_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
WAIT_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
"""The waiting-time buckets of celery-exporter."""


class WorkerMetrics:
    """Counts the tasks of one worker; subscribe ``on_event`` to the app of the worker.

    Args:
        hostname: The part of the worker's node name after the ``@``.
        registry: What the metrics belong to.
        ready: Is asked at each scrape whether the worker is ready.
    """

    def __init__(self, hostname: str, registry: CollectorRegistry, ready: Callable[[], bool]) -> None:
        self._hostname = hostname
        self._started = Counter("celery_task_started", "Executions handed to the pool.", LABELS, registry=registry)
        self._ended = {
            outcome: Counter(
                f"celery_task_{outcome}",
                f"Executions that ended as {outcome}.",
                (*LABELS, "exception") if outcome is Outcome.FAILED else LABELS,
                registry=registry,
            )
            for outcome in Outcome
        }
        self._runtime = Histogram(
            "celery_task_runtime",
            "Seconds that executions ran.",
            LABELS,
            buckets=RUNTIME_BUCKETS,
            registry=registry,
        )
        self._waited = Histogram(
            "celery_task_queue_wait_time",
            "Seconds from publishing, or from the eta, to the start.",
            LABELS,
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self._active = Gauge(
            "celery_worker_tasks_active", "Executions running now.", ("hostname",), registry=registry
        ).labels(hostname)
        Gauge("celery_worker_up", "1 while the worker runs.", ("hostname",), registry=registry).labels(hostname).set(1)
        Gauge(
            "switchyard_worker_ready",
            "1 while the worker is connected and takes the work that waits.",
            ("hostname",),
            registry=registry,
        ).labels(hostname).set_function(ready)

    def on_event(self, event: Event) -> None:
        """Count one event."""
        labels = (event.task, self._hostname, event.queue, event.broker)
        match event:
            case TaskStarted(waited=waited):
                self._started.labels(*labels).inc()
                self._active.inc()
                if waited is not None:
                    self._waited.labels(*labels).observe(waited)
            case TaskEnded(outcome=outcome, seconds=seconds, exception=exception):
                extra = (exception or "UnknownException",) if outcome is Outcome.FAILED else ()
                self._ended[outcome].labels(*labels, *extra).inc()
                if seconds is not None:
                    self._active.dec()
                    self._runtime.labels(*labels).observe(seconds)


class DepthCollector(Collector):
    """Asks every broker for its depths at each scrape.

    A broker that can't be asked has ``switchyard_broker_up 0`` and no depth: unknown is not zero.
    """

    def __init__(self, brokers: Iterable[BrokerDepths]) -> None:
        self._brokers = tuple(brokers)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the depth of every queue, by priority and by state, and whether each broker answers."""
        up = GaugeMetricFamily("switchyard_broker_up", "1 when the broker answered this scrape.", labels=["broker"])
        length = GaugeMetricFamily(
            "celery_queue_length", "Messages that wait in the queue.", labels=["queue_name", "broker"]
        )
        ready = GaugeMetricFamily(
            "switchyard_queue_ready",
            "Messages that wait in the queue, by priority.",
            labels=["queue_name", "broker", "priority"],
        )
        unacknowledged = GaugeMetricFamily(
            "switchyard_queue_unacknowledged",
            "Messages that workers hold: running or prefetched.",
            labels=["queue_name", "broker"],
        )
        for broker, depths in zip(self._brokers, self._measure_all(), strict=True):
            up.add_metric([broker.alias], 0 if depths is None else 1)
            for depth in depths or ():
                where = [depth.queue, broker.alias]
                length.add_metric(where, depth.ready)
                if depth.unacknowledged is not None:
                    unacknowledged.add_metric(where, depth.unacknowledged)
                for priority, count in depth.by_priority.items():
                    ready.add_metric([*where, str(priority)], count)
        return up, length, ready, unacknowledged

    def _measure_all(self) -> list[list[QueueDepth] | None]:
        """Ask all brokers at once: one that hangs does not hold up the others."""
        with ThreadPoolExecutor(len(self._brokers)) as pool:
            return list(pool.map(lambda broker: broker.measure(), self._brokers))


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


def worker_registry() -> CollectorRegistry:
    """Return a registry with what Prometheus wants to know of any process: CPU, memory, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def serve(registry: CollectorRegistry, host: str, port: int, health: Callable[[], Verdict]) -> WSGIServer:
    """Serve ``/metrics``, ``/health/live`` and ``/health/ready`` from a daemon thread.

    Args:
        registry: The metrics.
        host: The address to listen on.
        port: 0 takes a free one, see ``server_port`` of the answer.
        health: Is asked for the health of this process; what is not live or not ready is a 503 with the reason.
    """
    server, _ = start_http_server(port, addr=host, registry=registry)
    metrics = server.get_app()

    def metrics_or_health(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        question = environ["PATH_INFO"].removeprefix("/health/")
        if question not in ("live", "ready"):
            return metrics(environ, start_response)  # type: ignore[misc]
        verdict = health()
        good = verdict.live if question == "live" else verdict.ready
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{verdict.why}\n".encode()]

    server.set_app(metrics_or_health)
    return server


class Reading(NamedTuple):
    """One sample of a scrape."""

    name: str
    labels: Mapping[str, str]
    value: float


def scrape(url: str) -> list[Reading]:
    """Read the metrics that a process serves.

    Raises:
        OSError: It does not answer.
    """
    with urllib.request.urlopen(url, timeout=SCRAPE_WITHIN_SECONDS) as answer:  # noqa: S310 - our own http address
        text = answer.read().decode()
    return [
        Reading(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
