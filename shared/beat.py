"""Celery's beat for a fleet: any number of them fire each entry once, and the others go on when one is gone."""

from __future__ import annotations

import logging
from heapq import heapify
from typing import Any

import redis
from celery.beat import PersistentScheduler, ScheduleEntry, Scheduler, SchedulingError, event_t

from shared.delays.firing import Firing, Runs, RunsTable, under_way
from shared.delays.mover import Mover
from shared.delays.producer import DelayFailed
from shared.health import clock
from shared.heartbeat import Heartbeat, Look
from shared.settings import load_settings

logger = logging.getLogger(__name__)

TICK_EVERY_SECONDS = 5.0
LIVE_WITHIN_SECONDS = 90.0
"""How old the last tick of beat may be beyond its longest sleep: a publish to a silent broker takes its time."""
REST_SECONDS = 1.0
"""How long beat waits for a state database that does not answer."""


class FleetScheduler(PersistentScheduler):
    """Fires each entry once for each time that it is due, to the broker that owns its queue.

    In a fleet with shared state that holds for all beats of an app together, however many run, die or stand still.
    Each looks for itself what is due.  Whoever is first stores the message of a firing, and that it was fired, in one
    step (``shared.delays.firing``); the others are told so, and go on from there.  The message is then moved to its
    broker like a delayed one, so that a broker that is down holds up nothing.  While shared state is out of reach
    nothing is fired; what is overdue then is fired once.

    Without shared state it is Celery's scheduler with its file, of which only one may run.  It publishes through the
    pool of each owner; Celery's holds one producer of the home broker, and an outage of that would stop all entries.
    """

    producer = None

    _heap: Any
    _mover: Mover | None = None
    _begun = False
    _moved: ScheduleEntry | None = None
    """An entry whose next time is another than Celery takes it for."""
    _resting = False

    def __init__(self, app: Any, *args: Any, **options: Any) -> None:
        shared = app.state.configured and app.conf.task_protocol == 2
        self._runs = RunsTable(app.state, app.main) if shared else None
        super().__init__(app, *args, **options)

    @property
    def info(self) -> str:
        """Where the schedule is kept, as beat prints it when it starts."""
        return f"    . db -> shared state, {self._runs.key}" if self._runs else str(super().info)

    def setup_schedule(self) -> None:
        """Read the schedule of the settings; where it stands is asked of shared state at the first tick."""
        if self._runs is None:
            super().setup_schedule()
        else:
            Scheduler.setup_schedule(self)

    def get_schedule(self) -> Any:
        """Return the entries by name."""
        return self.data if self._store is None else super().get_schedule()

    def set_schedule(self, schedule: Any) -> None:
        """Replace the entries."""
        if self._store is None:
            self.data = schedule
        else:
            super().set_schedule(schedule)

    schedule = property(get_schedule, set_schedule)

    def tick(self, *args: Any, **options: Any) -> Any:
        """Fire what is due, and move delayed tasks from the first tick on; return how long to sleep."""
        if self._mover is None and self.app.state.configured:
            self._mover = Mover(self.app)
            self._mover.start()
        if self._runs is not None and not self._begun and not self._begin(self._runs):
            return REST_SECONDS
        interval = super().tick(*args, **options)
        if self._moved is not None:
            self._correct(self._moved)
            self._moved = None
            interval = REST_SECONDS if self._resting else 0
        return interval

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Fire an entry, unless another beat has; one that can't be fired now stays due."""
        if self._runs is None:
            super().apply_entry(entry, producer=producer)
            return
        following = self.schedule[entry.name]
        firing = Firing(self._runs.key, entry.name, entry.total_run_count, runs_of(following))
        try:
            if self._runs.skip_if_paused(firing):
                self._resting = False
                if firing.instead is None:
                    logger.info("Entry %r is paused; this time it is left out.", entry.name)
                else:
                    self._move(following, firing.instead)
                return
            with under_way(firing):
                sent = self.apply_async(entry, advance=False)
        except SchedulingError as error:
            if isinstance(error.__context__, DelayFailed):
                self._rest(error.__context__)
                self._move(following, runs_of(entry))
            else:
                logger.exception("Entry %r can't be published, and waits for its next time.", entry.name)
                following.total_run_count = entry.total_run_count
            return
        except (redis.RedisError, OSError) as error:
            self._rest(error)
            self._move(following, runs_of(entry))
            return
        self._resting = False
        if firing.instead is None:
            logger.info("Sending due task %s (%s), %s", entry.name, entry.task, sent.id)
        else:
            self._move(following, firing.instead)

    def close(self) -> None:
        """Keep the schedule, and move nothing more."""
        super().close()
        if self._mover is not None:
            self._mover.end()

    def _begin(self, runs: RunsTable) -> bool:
        """Take up the schedule where it stands; tell whether shared state said so."""
        try:
            known = runs.begin({name: entry.last_run_at for name, entry in self.schedule.items()})
        except (redis.RedisError, OSError) as error:
            self._rest(error)
            return False
        for name, entry in self.schedule.items():
            self._move(entry, known[name])
        self._moved, self._begun, self._resting = None, True, False
        return True

    def _move(self, entry: ScheduleEntry, runs: Runs) -> None:
        """Let an entry go on from certain runs."""
        last = runs.last.astimezone(self.app.timezone) if runs.last.tzinfo else runs.last
        entry.total_run_count, entry.last_run_at = runs.number, last
        self._moved = entry

    def _correct(self, entry: ScheduleEntry) -> None:
        """Put an entry where it belongs among the times that are waited for."""
        due, wait = self.is_due(entry)
        others = [event for event in self._heap if event.entry is not entry]
        self._heap = [*others, event_t(self._when(entry, 0 if due else wait), 5, entry)]
        heapify(self._heap)

    def _rest(self, error: Exception) -> None:
        """Log an outage of shared state, once for as long as it lasts."""
        level = logging.DEBUG if self._resting else logging.WARNING
        logger.log(level, "Nothing is fired while shared state does not answer: %s", error)
        self._resting = True


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


def runs_of(entry: ScheduleEntry) -> Runs:
    """Return how often an entry was fired, and when it last was."""
    return Runs(entry.total_run_count, entry.last_run_at)
