"""Tasks of the history in the ledger: the queries that keep, read and remove them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Delete, Table, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.core.history.sightings import Sighting, TaskState, merged
from services.core.ledger.models import SeenTask

if TYPE_CHECKING:
    from sqlalchemy.engine import CursorResult

COLUMNS = tuple(field.name for field in fields(Sighting))
TIMES = tuple(name for name in COLUMNS if name == "at" or name.endswith("_at"))
TABLE = cast("Table", SeenTask.__table__)
AT_ONCE = 500
"""Ids in one query; SQLite takes 999 variables where it is old."""


def keep_sightings(session: Session, sightings: Iterable[Sighting]) -> None:
    """Add what was told of tasks to what is known of them; to keep the same again changes nothing.

    Args:
        session: A writing transaction.
        sightings: At most one of each task.
    """
    # All recorders take the rows in the same order, so that two never wait for each other.
    told = {known.id: known for known in sorted(sightings, key=lambda known: known.id)}
    ids = list(told)
    for start in range(0, len(ids), AT_ONCE):
        _keep_some(session, {task_id: told[task_id] for task_id in ids[start : start + AT_ONCE]})


def _keep_some(session: Session, told: Mapping[str, Sighting]) -> None:
    insert = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(TABLE)
    statement = insert.on_conflict_do_nothing(index_elements=["id"])
    there = {known.id: known for known in the_sightings(session, list(told), lock=True)}
    new = [known for task_id, known in told.items() if task_id not in there]
    if new:
        # Another recorder may add the same ones meanwhile; then these are read again, and merged like the others.
        found = session.execute(statement.returning(TABLE.c.id), [_row(known) for known in new])
        added = set(found.scalars())
        missed = [known.id for known in new if known.id not in added]
        there |= {known.id: known for known in the_sightings(session, missed, lock=True)}
    both = {task_id: merged(known, told[task_id]) for task_id, known in there.items()}
    changed = [_row(known, key="key") for task_id, known in both.items() if known != there[task_id]]
    if changed:
        values: dict[str, Any] = {name: bindparam(name) for name in COLUMNS if name != "id"}
        session.connection().execute(update(TABLE).where(TABLE.c.id == bindparam("key")).values(values), changed)


def the_sightings(session: Session, ids: Collection[str], *, lock: bool = False) -> list[Sighting]:
    """Return what is known of some tasks, at most 500; those that nobody knows are left out."""
    if not ids:
        return []
    query = select(*(TABLE.c[name] for name in COLUMNS)).where(TABLE.c.id.in_(ids)).order_by(TABLE.c.id)
    return read_sightings(session, query.with_for_update() if lock else query)


def read_sightings(session: Session, query: Any) -> list[Sighting]:
    """Run a query for columns of tasks; ``id``, ``state``, ``at`` and ``first_at`` must be among them."""
    return [_sighting(row) for row in session.execute(query).mappings()]


def all_columns() -> tuple[Any, ...]:
    """Return the columns that ``read_sightings`` reads."""
    return tuple(TABLE.c[name] for name in COLUMNS)


def expire_tasks(session: Session, before: datetime, limit: int) -> int:
    """Remove up to ``limit`` tasks that nobody told of since an instant, the oldest first; return how many."""
    oldest = select(SeenTask.id).where(SeenTask.at < before).order_by(SeenTask.at).limit(limit)
    return _run(session, delete(SeenTask).where(SeenTask.id.in_(oldest)))


def count_tasks(session: Session) -> int:
    """Count the tasks of the history."""
    return session.scalar(select(func.count()).select_from(SeenTask)) or 0


def trim_tasks(session: Session, limit: int) -> int:
    """Remove the ``limit`` tasks of which nobody told for longest; return how many there were."""
    oldest = select(SeenTask.id).order_by(SeenTask.at).limit(limit)
    return _run(session, delete(SeenTask).where(SeenTask.id.in_(oldest)))


def _run(session: Session, statement: Delete) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return int(cast("CursorResult[Any]", result).rowcount)


def _row(known: Sighting, key: str = "id") -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(known, name) for name in COLUMNS}
    row |= {name: _instant(row[name]) for name in TIMES}
    row["state"] = str(known.state)
    row["next_steps"] = [list(step) for step in known.next_steps] if known.next_steps else None
    if key != "id":
        row[key] = row.pop("id")
    return row


def _sighting(row: Mapping[Any, Any]) -> Sighting:
    values = dict(row)
    values |= {name: at.timestamp() for name in TIMES if (at := values.get(name)) is not None}
    steps: Sequence[Any] | None = values.get("next_steps")
    values["next_steps"] = tuple((first, second, third) for first, second, third in steps) if steps else None
    return Sighting(**{**values, "state": TaskState(values["state"])})


def _instant(at: float | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at is not None else None
