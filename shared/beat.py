"""Celery's persistent scheduler for a fleet."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler

from shared.delays.mover import Mover
from shared.health import clock
from shared.heartbeat import Heartbeat, Look
from shared.settings import load_settings

TICK_EVERY_SECONDS = 5.0
LIVE_WITHIN_SECONDS = 90.0
"""How old the last tick of beat may be beyond its longest sleep: a publish to a silent broker takes its time."""


class FleetScheduler(PersistentScheduler):
    """Publishes each entry through the pool of the broker that owns its queue.

    Celery's holds one producer of the home broker, and waits for that broker before it publishes anything: an outage
    of one broker would stop the entries of all.  It moves delayed tasks, too, as every worker does.
    """

    producer = None

    _mover: Mover | None = None

    def tick(self, *args: Any, **options: Any) -> Any:
        """Publish what is due, and move delayed tasks from the first tick on."""
        if self._mover is None and self.app.state.configured:
            self._mover = Mover(self.app)
            self._mover.start()
        return super().tick(*args, **options)

    def close(self) -> None:
        """Keep the schedule, and move nothing more."""
        super().close()
        if self._mover is not None:
            self._mover.end()


class ReportingScheduler(FleetScheduler):
    """Reports the health of beat, too: it is live and ready while its loop ticks."""

    max_interval = TICK_EVERY_SECONDS

    _heartbeat: Heartbeat | None = None
    _ticked = 0.0

    def tick(self, *args: Any, **options: Any) -> Any:
        """Publish what is due, and report from the first tick on."""
        self._ticked = clock()
        if self._heartbeat is None:
            within = LIVE_WITHIN_SECONDS + self.max_interval
            self._heartbeat = Heartbeat("beat", self._look, load_settings().run_folder, within=within)
            self._heartbeat.start()
        return super().tick(*args, **options)

    def close(self) -> None:
        """Keep the schedule, and report no more."""
        super().close()
        if self._heartbeat is not None:
            self._heartbeat.end()

    def _look(self) -> Look:
        return Look(self._ticked)
