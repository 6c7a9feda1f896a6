"""The schedule: its entries, when each ran and will run, and what can be done with one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery.beat import ScheduleEntry
from celery.schedules import crontab

from shared.celery_app import FleetCelery
from shared.delays.firing import KnownRuns, RunsTable
from shared.errors import FleetError, did_you_mean
from shared.pauses import Pause, PauseTable

CRONTAB = re.compile(r"crontab: (.*?) \(")


class UnknownEntry(FleetError):
    """The schedule has no entry of this name; the message names close ones, and nothing was changed."""

    def __init__(self, name: str, known: Mapping[str, Any]) -> None:
        super().__init__(f"The schedule has no entry {name!r}.{did_you_mean(name, known)}")


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry of the schedule."""

    name: str
    task: str
    schedule: str
    """When it runs, as Celery writes it."""
    queue: str | None
    broker: str | None
    last_run: datetime | None
    """When it was fired last; ``None`` when no beat ever fired it."""
    next_run: datetime | None
    """When it is due next; ``None`` while it is paused, or when no beat ever took it up."""
    paused: Pause | None


def list_entries(app: FleetCelery) -> list[EntryView]:
    """List the entries of an app's schedule.

    Raises:
        redis.RedisError: Shared state does not answer.
    """
    table = RunsTable(app.state, str(app.main))
    known, paused = table.known(), table.pauses.paused()  # one may be paused before any beat took it up
    return [_view(app, entry, known.get(name), paused.get(name)) for name, entry in _entries(app).items()]


def pause_entry(app: FleetCelery, name: str, by: str) -> bool:
    """Have every beat leave an entry out until it is resumed; return whether it was not paused before.

    Raises:
        UnknownEntry: There is none of this name.
        redis.RedisError: Shared state does not answer.
    """
    return _pauses(app).pause(_known(app, name).name, by)


def resume_entry(app: FleetCelery, name: str) -> bool:
    """Have beat fire an entry again, from its next time on; return whether it was paused.

    Raises:
        UnknownEntry: There is none of this name.
        redis.RedisError: Shared state does not answer.
    """
    return _pauses(app).resume(_known(app, name).name)


def run_entry(app: FleetCelery, name: str) -> str:
    """Publish the task of an entry now, paused or not; its next time stays as it is.

    Returns:
        The id of the task.

    Raises:
        UnknownEntry: There is none of this name.
        PublishFailed: The broker did not take it.
    """
    entry = _known(app, name)
    sent = app.send_task(entry.task, entry.args, entry.kwargs, **entry.options)
    return str(sent.id)


def written(schedule: Any) -> str:
    """Write a schedule as people do: a crontab's five fields, or how often; what is neither as it writes itself."""
    if isinstance(schedule, crontab):
        found = CRONTAB.search(str(schedule))
        return found[1] if found else str(schedule)
    seconds = getattr(schedule, "seconds", None)
    return f"every {seconds:g} s" if isinstance(seconds, int | float) else str(schedule)


def _entries(app: FleetCelery) -> dict[str, ScheduleEntry]:
    return {
        name: ScheduleEntry(**{"name": name, "app": app, **entry}) for name, entry in app.conf.beat_schedule.items()
    }


def _known(app: FleetCelery, name: str) -> ScheduleEntry:
    entries = _entries(app)
    if name not in entries:
        raise UnknownEntry(name, entries)
    return entries[name]


def _pauses(app: FleetCelery) -> PauseTable:
    return RunsTable(app.state, str(app.main)).pauses


def _view(app: FleetCelery, entry: ScheduleEntry, known: KnownRuns | None, paused: Pause | None) -> EntryView:
    queue = entry.options.get("queue") or app.routing.queue(entry.task)
    following = None
    if known is not None and paused is None:
        last = known.runs.last
        due, wait = entry.schedule.is_due(last.astimezone(app.timezone) if last.tzinfo else last)
        following = app.now() + timedelta(seconds=0 if due else wait)
    return EntryView(
        name=str(entry.name),
        task=str(entry.task),
        schedule=written(entry.schedule),
        queue=str(queue) if queue else None,
        broker=app.routing.owners.get(str(queue)) if queue else None,
        last_run=known.fired if known else None,
        next_run=following,
        paused=paused,
    )
