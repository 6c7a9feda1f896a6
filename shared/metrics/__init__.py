"""Prometheus metrics of the fleet; the only importer of ``prometheus_client``.

Names and labels are those of celery-exporter, so that its dashboards and alert rules work, and a ``broker`` label.
What celery-exporter does not have begins with ``switchyard_``.
"""

from __future__ import annotations

from shared.metrics.brokers import DepthCollector
from shared.metrics.records import Measure, RecordCollector, Sample
from shared.metrics.requests import RequestMetrics, exposition
from shared.metrics.serving import Reading, scrape, serve, worker_registry
from shared.metrics.state import DelayedCollector
from shared.metrics.tallied import TallyCollector
from shared.metrics.worker import WorkerMetrics

__all__ = [
    "DelayedCollector",
    "DepthCollector",
    "Measure",
    "Reading",
    "RecordCollector",
    "RequestMetrics",
    "Sample",
    "TallyCollector",
    "WorkerMetrics",
    "exposition",
    "scrape",
    "serve",
    "worker_registry",
]
