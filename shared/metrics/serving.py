"""``/metrics`` over HTTP: served by a process of ours, and read again."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from shared.health import Verdict

SCRAPE_WITHIN_SECONDS = 5.0


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
