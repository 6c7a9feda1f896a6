"""What Switchyard's own fleet runs on one machine."""

from __future__ import annotations

import sys

from services.core.local.ports import free_ports
from services.core.local.specs import Plan, ProcessSpec, logged, serves_metrics
from shared.queues import AFTER_GRACE_SECONDS, QUEUES, QueueSpec
from shared.settings import FleetSettings

YARD = (sys.executable, "-m", "services.core.cli.main")


def switchyard_plan(settings: FleetSettings) -> Plan:
    """Plan the processes of the fleet: a worker for each queue of the table, and one for each other job."""
    return Plan(
        preparations=(ProcessSpec("ledger", (*YARD, "migrate")),),
        processes=(
            *(_worker(spec) for spec in QUEUES),
            ProcessSpec("beat", (*YARD, "beat"), ready=logged("beat: Starting")),
            ProcessSpec("relay", (*YARD, "relay"), ready=logged("The relay publishes")),
            ProcessSpec("observer", (*YARD, "observer"), ready=serves_metrics, metrics=True),
            ProcessSpec("recorder", (*YARD, "recorder"), ready=logged("The recorder keeps")),
            _api(settings),
        ),
    )


def _api(settings: FleetSettings) -> ProcessSpec:
    # As for the brokers: several fleets on one machine must not meet, unless a port is asked for.
    port = settings.api_port or free_ports(1)[0]
    command = (*YARD, "api", "--port", str(port))
    return ProcessSpec("api", command, ready=logged("The API answers at"), http_port=port)


def _worker(spec: QueueSpec) -> ProcessSpec:
    return ProcessSpec(
        spec.name,
        (*YARD, "worker", spec.name),
        ready=logged(" ready."),
        metrics=True,
        grace=spec.grace + AFTER_GRACE_SECONDS,
    )
