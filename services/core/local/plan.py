"""What Switchyard's own fleet runs on one machine."""

from __future__ import annotations

import sys

from services.core.local.specs import Plan, ProcessSpec, logged, serves_metrics
from shared.queues import AFTER_GRACE_SECONDS, QUEUES, QueueSpec
from shared.settings import FleetSettings

YARD = (sys.executable, "-m", "services.core.cli.main")


def switchyard_plan(settings: FleetSettings) -> Plan:  # noqa: ARG001
    """Plan the processes of the fleet: a worker for each queue of the table, the schedule, the relay, the observer."""
    return Plan(
        preparations=(ProcessSpec("ledger", (*YARD, "migrate")),),
        processes=(
            *(_worker(spec) for spec in QUEUES),
            ProcessSpec("beat", (*YARD, "beat"), ready=logged("beat: Starting")),
            ProcessSpec("relay", (*YARD, "relay"), ready=logged("The relay publishes")),
            ProcessSpec("observer", (*YARD, "observer"), ready=serves_metrics, metrics=True),
        ),
    )


def _worker(spec: QueueSpec) -> ProcessSpec:
    return ProcessSpec(
        spec.name,
        (*YARD, "worker", spec.name),
        ready=logged(" ready."),
        metrics=True,
        grace=spec.grace + AFTER_GRACE_SECONDS,
    )
