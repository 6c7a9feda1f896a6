"""Keep the services of a fleet running."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Lock, Thread

from services.core.local.record import FleetRecord
from services.core.local.restarts import RestartBudget
from services.core.local.service import Service, wait_until_ready
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
        self._guards = {service.name: _Guard(service, record) for service in services}
        self._over = Event()
        self._thread = Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def restart(self, name: str, seconds: float) -> None:
        """Stop a service within its grace period, start it again, and wait until it answers.

        Args:
            name: The service.
            seconds: How long it may take until it answers.

        Raises:
            StartFailed: It ended, or did not answer in time; it is watched as before.
            OSError: There is no room for another process; likewise.
        """
        self._guards[name].restart(seconds)

    def stop(self) -> None:
        """Look no more; nothing is started after this returns."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for guard in self._guards.values():
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
        self._looking = Lock()
        self._asked = False

    def look(self) -> None:
        with self._looking:
            if not self._asked:
                self._look()

    def restart(self, seconds: float) -> None:
        with self._looking:
            self._asked = True
        try:
            self._restart_at, self._budget = None, RestartBudget()
            self._enter(Phase.STOPPING)
            self._service.stop()
            self._service.launch()
            self._enter(Phase.STARTING)
            wait_until_ready([self._service], seconds)
            self._enter(Phase.READY)
        finally:
            self._asked = False

    def _look(self) -> None:
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
