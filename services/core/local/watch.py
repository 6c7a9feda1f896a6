"""Keep the services of a fleet running."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread

from services.core.local.record import FleetRecord
from services.core.local.restarts import RestartBudget
from services.core.local.service import Service
from services.core.local.state import Phase

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2


class Watch:
    """Starts each service again that ends by itself, until it has ended too often; looks five times a second.

    Args:
        services: Services that run.
        record: Is told of each end and each restart.
    """

    def __init__(self, services: Sequence[Service], record: FleetRecord) -> None:
        self._guards = [_Guard(service, record) for service in services]
        self._over = Event()
        self._thread = Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; nothing is started after this returns."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for guard in self._guards:
                try:
                    guard.look()
                except Exception:
                    logger.exception("Could not look after %s; will try again", guard.name)


class _Guard:
    def __init__(self, service: Service, record: FleetRecord) -> None:
        self.name = service.name
        self._service = service
        self._record = record
        self._budget = RestartBudget()
        self._restart_at: float | None = None
        self._phase = Phase.READY

    def look(self) -> None:
        if self._phase is Phase.FAILED:
            return
        if self._restart_at is not None:
            self._restart_when_due(self._restart_at)
        elif not self._service.alive:
            self._plan_restart()
        elif self._phase is not Phase.READY and self._service.is_ready():
            self._enter(Phase.READY)

    def _plan_restart(self) -> None:
        delay = self._budget.spend(time.monotonic())
        if delay is None:
            self._service.kill()
            self._enter(Phase.FAILED)
        else:
            self._restart_at = time.monotonic() + delay
            self._enter(Phase.RESTARTING)

    def _restart_when_due(self, restart_at: float) -> None:
        if time.monotonic() < restart_at:
            return
        self._restart_at = None
        with suppress(OSError):  # the next look finds it dead and counts one more end
            self._service.launch()
        self._enter(Phase.STARTING)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._record.service(self._service, phase)
