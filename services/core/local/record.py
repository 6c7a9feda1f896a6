"""What happens in a fleet, kept in its state file and told to whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import RLock

from services.core.local.service import Service
from services.core.local.state import FleetState, Phase, ProcessId, ServiceState, now

Progress = Callable[[str, Phase], None]
"""Is told the name of a service and the phase that it has entered."""


class FleetRecord:
    """The state of a fleet, written down at every change, and not before the first; safe to use from threads.

    Args:
        home: Folder of the fleet.
        supervisor: Process id of the one that keeps the fleet together.
        progress: Is told of each change.
    """

    def __init__(self, home: Path, supervisor: int, progress: Progress) -> None:
        self._home = home
        self._progress = progress
        self._changing = RLock()
        self._state = FleetState(supervisor=ProcessId.of(supervisor))

    def fleet(self, phase: Phase) -> None:
        """Note that the fleet as a whole has entered a phase; one that failed is not called stopped."""
        with self._changing:
            self._state.phase = Phase.FAILED if self._state.why and phase is Phase.STOPPED else phase
            self._state.since = now()
            self._state.write(self._home)

    def failure(self, why: str) -> None:
        """Note what went wrong."""
        with self._changing:
            self._state.why = why
            self._state.write(self._home)

    def service(self, service: Service, phase: Phase) -> None:
        """Note that a service has entered a phase."""
        with self._changing:
            entry = self._state.services.setdefault(service.name, ServiceState(name=service.name))
            entry.restarts += phase is Phase.RESTARTING
            entry.phase, entry.since = phase, now()
            entry.ports = dict(service.ports)
            entry.processes = [ProcessId.of(p.pid) for p in service.processes if p.pid and p.alive]
            self._state.write(self._home)
        self._progress(service.name, phase)
