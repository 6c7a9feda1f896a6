"""Requests to an HTTP server of ours, counted and timed."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

SECONDS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""Any other method: anybody may make one up."""


class RequestMetrics:
    """Counts requests by route, which is one of a few, and never by path."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "switchyard_api_requests", "Requests to the HTTP API.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "switchyard_api_request_seconds",
            "How long requests to the HTTP API took, to the end of the answer.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )

    def served(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._count.labels(method if method in METHODS else OTHER, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


def exposition(registry: CollectorRegistry) -> bytes:
    """Return all metrics of a registry as Prometheus reads them: ``text/plain; version=0.0.4``."""
    return generate_latest(registry)
