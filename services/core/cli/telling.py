"""Says what the services of a fleet are doing while it starts and stops."""

from __future__ import annotations

import typer

from services.core.local.state import Phase

MARKS = {Phase.READY: "✓", Phase.STOPPED: "✓", Phase.FAILED: "✗"}


def tell_phase(service: str, phase: Phase) -> None:
    """Print that a service is ready, stopped or failed; what it is about to do is not worth a line."""
    if phase in MARKS:
        typer.echo(f"  {MARKS[phase]} {service} {phase}")
