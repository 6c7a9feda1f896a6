"""What Switchyard's own fleet runs on one machine."""

from __future__ import annotations

from services.core.local.specs import Plan
from shared.settings import FleetSettings


def switchyard_plan(settings: FleetSettings) -> Plan:  # noqa: ARG001
    """Plan the processes of the fleet from the queue table."""
    return Plan(processes=())
