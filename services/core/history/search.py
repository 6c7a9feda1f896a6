"""Search the history of tasks: by filter, page by page, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from services.core.history.sightings import Sighting, TaskState
from services.core.ledger.errors import InvalidSubmission, UnknownId
from services.core.ledger.history import all_columns, read_sightings, the_sightings
from services.core.ledger.models import SeenTask
from services.core.ledger.recorders import recorder_seen

MOST_LISTED = 1000
AT_WORK_WITHIN = timedelta(seconds=30)
"""How long ago a recorder that is at work noted so at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks are meant; what is left out does not matter."""

    states: tuple[TaskState, ...] = ()
    name: str | None = None
    """Of the task, such as ``email.send``."""
    queue: str | None = None
    broker: str | None = None
    worker: str | None = None
    workflow: str | None = None
    """The id of its first task, of a group, or of a task before it."""
    since: datetime | None = None
    """First heard of at this time or later."""
    until: datetime | None = None
    """First heard of before this time."""
    text: str | None = None
    """Part of the id, the name, the arguments or the exception, in capitals or not."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter in SQL."""
        row = SeenTask
        equal: list[tuple[Any, object]] = [
            (row.name, self.name), (row.queue, self.queue), (row.broker, self.broker), (row.worker, self.worker),
        ]  # fmt: skip
        found: list[ColumnElement[bool]] = [column == value for column, value in equal if value is not None]
        if self.states:
            found.append(row.state.in_([str(state) for state in self.states]))
        if self.workflow is not None:
            ids: tuple[Any, ...] = (row.id, row.root_id, row.parent_id, row.group_id)
            found.append(or_(*(column == self.workflow for column in ids)))
        if self.since is not None:
            found.append(row.first_at >= self.since)
        if self.until is not None:
            found.append(row.first_at < self.until)
        if self.text is not None:
            texts: tuple[Any, ...] = (row.id, row.name, row.args, row.kwargs, row.exception)
            found.append(or_(*(func.lower(column).contains(self.text.lower(), autoescape=True) for column in texts)))
        return found


class TaskPage(NamedTuple):
    """One page of tasks."""

    tasks: list[Sighting]
    after: str | None
    """Where the next page begins; ``None`` at the end."""


class HistoryStatus(NamedTuple):
    """Whether the history is kept."""

    at_work: bool
    """Whether a recorder is at work."""
    seen_at: datetime | None
    """When one was last; ``None`` when never."""
    dropped: int
    """Tasks that recorders ever had to drop."""


def search_tasks(session: Session, which: TaskFilter, cursor: str | None = None, limit: int = 100) -> TaskPage:
    """List tasks in the order in which they were first heard of, the newest first.

    Args:
        session: Any transaction.
        which: Which ones.
        cursor: Where the page before ended; its ``after``.
        limit: The most to list, a thousand at most.

    Raises:
        InvalidSubmission: The cursor is none of ours.
    """
    query = select(*all_columns()).where(*which.conditions())
    if cursor is not None:
        at, task_id = _position(cursor)
        query = query.where(or_(SeenTask.first_at < at, and_(SeenTask.first_at == at, SeenTask.id < task_id)))
    limit = min(limit, MOST_LISTED)
    query = query.order_by(SeenTask.first_at.desc(), SeenTask.id.desc()).limit(limit + 1)
    found = read_sightings(session, query)
    page = found[:limit]
    return TaskPage(page, f"{page[-1].first_at:.6f}/{page[-1].id}" if len(found) > limit else None)


def the_task(session: Session, task_id: str) -> Sighting:
    """Return what is known of a task.

    Raises:
        UnknownId: Nobody told of it, or too long ago.
    """
    found = the_sightings(session, [task_id])
    if not found:
        raise UnknownId("task in the history", task_id)
    return found[0]


def history_status(session: Session, now: datetime) -> HistoryStatus:
    """Tell whether the history is kept now."""
    row = recorder_seen(session)
    if row is None:
        return HistoryStatus(at_work=False, seen_at=None, dropped=0)
    return HistoryStatus(now - row.seen_at < AT_WORK_WITHIN, row.seen_at, row.dropped)


def waiting_in(session: Session, queue: str, limit: int) -> list[Sighting]:
    """List tasks that were sent to a queue and that no worker told of, the oldest first."""
    query = (
        select(*all_columns())
        .where(SeenTask.queue == queue, SeenTask.state == str(TaskState.SENT))
        .order_by(SeenTask.first_at, SeenTask.id)
        .limit(limit)
    )
    return read_sightings(session, query)


def note_purged(session: Session, queue: str, now: datetime) -> None:
    """Note that what waited in a queue was removed; what waits for its eta does not wait there."""
    gone = SeenTask.queue == queue, SeenTask.state == str(TaskState.SENT), SeenTask.eta.is_(None)
    values = {"state": str(TaskState.REVOKED), "at": now, "ended_at": now, "exception": "purged from its queue"}
    session.execute(
        update(SeenTask).where(*gone, SeenTask.first_at < now).values(values),
        execution_options={"synchronize_session": False},
    )


def _position(cursor: str) -> tuple[datetime, str]:
    at, _, task_id = cursor.partition("/")
    try:
        return datetime.fromtimestamp(float(at), UTC), task_id
    except (ValueError, OverflowError, OSError):
        raise InvalidSubmission(f"{cursor!r} is no place in the list of tasks; take it from the page before.") from None
