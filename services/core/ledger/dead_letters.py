"""Dead letters in the ledger: the queries that add, find, mark and remove them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, defer

from services.core.ledger.models import LETTER_NAME_LENGTH, KeptLetter, RemovedLetters
from shared.dead_letters import DeadLetter, Reason, known_reason

Choice = Literal["reason", "queue", "task", "broker"]
"""A part of the filter that has few values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters are meant; what is left out does not matter."""

    numbers: Collection[int] = ()
    """What they are called in the ledger."""
    task_id: str | None = None
    queue: str | None = None
    task: str | None = None
    reason: Reason | None = None
    broker: str | None = None
    since: datetime | None = None
    """Taken out at this time or later."""
    until: datetime | None = None
    """Taken out before this time."""
    workflow: str | None = None
    """The id of its first task, or of a group."""
    text: str | None = None
    """Part of the task's name, the cause or the traceback, in capitals or not."""
    replayed: bool | None = False
    """Whether they were replayed; ``None`` for both."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter in SQL."""
        row = KeptLetter
        equal: list[tuple[Any, object]] = [
            (row.task_id, self.task_id), (row.queue, self.queue), (row.task, self.task), (row.broker, self.broker),
            (row.reason, str(self.reason) if self.reason else None),
        ]  # fmt: skip
        found: list[ColumnElement[bool]] = [column == value for column, value in equal if value is not None]
        if self.numbers:
            found.append(row.id.in_(self.numbers))
        if self.since is not None:
            found.append(row.died_at >= self.since)
        if self.until is not None:
            found.append(row.died_at < self.until)
        if self.workflow is not None:
            found.append(or_(*(column == self.workflow for column in (row.root_id, row.group_id, row.task_id))))
        if self.text is not None:
            columns = (row.task, row.detail, row.traceback)
            found.append(or_(*(func.lower(column).contains(self.text.lower(), autoescape=True) for column in columns)))
        if self.replayed is not None:
            found.append(row.replayed_at.is_not(None) if self.replayed else row.replayed_at.is_(None))
        return found


def add_letters(session: Session, letters: Sequence[DeadLetter], now: datetime) -> int:
    """Add dead letters; one that is there already stays as it is.

    Returns:
        How many are new.
    """
    if not letters:
        return 0
    insert = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(KeptLetter)
    statement = insert.on_conflict_do_nothing(index_elements=["digest"]).returning(KeptLetter.id)
    return len(session.scalars(statement, [_row(letter, now) for letter in letters]).all())


def find_letters(
    session: Session, which: LetterFilter, *, after: int = 0, limit: int, lock: bool = False, bodies: bool = True
) -> Sequence[KeptLetter]:
    """List dead letters in the order in which they came into the ledger.

    Args:
        session: Any transaction; a writing one to lock.
        which: Which ones.
        after: The number of the last one of the page before.
        limit: How many at most.
        lock: Keep other writers off them; those that another writer has are left out.
        bodies: Whether to read what their messages say, too.
    """
    query = (
        select(KeptLetter)
        .where(*which.conditions(), KeptLetter.id > after)
        .order_by(KeptLetter.id)
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    query = query if bodies else query.options(defer(KeptLetter.body, raiseload=True))
    return session.scalars(query.with_for_update(skip_locked=True) if lock else query).all()


def count_letters(session: Session, which: LetterFilter) -> dict[tuple[str, str], int]:
    """Count dead letters by queue and reason."""
    rows = session.execute(
        select(KeptLetter.queue, KeptLetter.reason, func.count())
        .where(*which.conditions())
        .group_by(KeptLetter.queue, KeptLetter.reason)
    )
    return {(queue, reason): count for queue, reason, count in rows}


def count_by(session: Session, which: LetterFilter, part: Choice, limit: int) -> dict[str, int]:
    """Count dead letters by a part of the filter, which itself is left out; the most frequent values first."""
    column = getattr(KeptLetter, part)
    without: Mapping[str, Any] = {part: None}
    rows = session.execute(
        select(column, func.count())
        .where(*replace(which, **without).conditions(), column.is_not(None))
        .group_by(column)
        .order_by(func.count().desc(), column)
        .limit(limit)
    )
    return {str(value): count for value, count in rows}


def remove_letters(session: Session, numbers: Collection[int]) -> None:
    """Remove dead letters for good."""
    session.execute(delete(KeptLetter).where(KeptLetter.id.in_(numbers)))


def edit_letter(session: Session, number: int, body: bytes | None) -> None:
    """Set what a dead letter says when it is replayed; ``None`` for what it said."""
    session.execute(update(KeptLetter).where(KeptLetter.id == number).values(edited_body=body))


def expire_letters(session: Session, before: datetime, limit: int, now: datetime) -> int:
    """Remove up to ``limit`` dead letters that were taken out before an instant, and count them."""
    rows = session.execute(
        select(KeptLetter.id, KeptLetter.queue).where(KeptLetter.died_at < before).order_by(KeptLetter.died_at)
        .limit(limit)
    ).all()  # fmt: skip
    remove_letters(session, [number for number, _ in rows])
    for queue, count in Counter(queue for _, queue in rows).items():
        _count_removed(session, queue, now, expired=count)
    return len(rows)


def trim_letters(session: Session, queue: str, most: int, now: datetime) -> int:
    """Remove the oldest dead letters of a queue beyond a number, replayed ones first, and count them."""
    there = session.scalar(select(func.count()).select_from(KeptLetter).where(KeptLetter.queue == queue)) or 0
    if there <= most:
        return 0
    oldest = (
        select(KeptLetter.id)
        .where(KeptLetter.queue == queue)
        .order_by(KeptLetter.replayed_at.is_(None), KeptLetter.id)
        .limit(there - most)
    )
    numbers = session.scalars(oldest).all()
    remove_letters(session, numbers)
    _count_removed(session, queue, now, over_limit=len(numbers))
    return len(numbers)


def removed_letters(session: Session) -> Sequence[RemovedLetters]:
    """List for each queue how many dead letters its limits have cost it."""
    return session.scalars(select(RemovedLetters).order_by(RemovedLetters.queue)).all()


def letter_of(row: KeptLetter) -> DeadLetter:
    """Return a dead letter as it was taken out."""
    return DeadLetter(
        id=(row.headers or {}).get("id") or row.task_id,
        task=row.task,
        queue=row.queue,
        broker=row.broker,
        reason=known_reason(row.reason),
        detail=row.detail,
        traceback=row.traceback,
        at=row.died_at.timestamp(),
        headers=row.headers,
        properties=row.properties,
        content_type=row.content_type,
        content_encoding=row.content_encoding,
        body=row.body,
    )


def _count_removed(session: Session, queue: str, now: datetime, *, expired: int = 0, over_limit: int = 0) -> None:
    row = session.get(RemovedLetters, queue, with_for_update=True)
    if row is None:
        row = RemovedLetters(queue=queue, expired=0, over_limit=0)
        session.add(row)
    row.expired, row.over_limit, row.last_at = row.expired + expired, row.over_limit + over_limit, now
    session.flush()


def _row(letter: DeadLetter, now: datetime) -> Mapping[str, Any]:
    return {
        "digest": letter.digest,
        "task_id": _name(letter.id),
        "task": _name(letter.task),
        "queue": _name(letter.queue),
        "broker": _name(letter.broker),
        "reason": str(letter.reason),
        "detail": letter.detail,
        "traceback": letter.traceback,
        "root_id": _name(letter.header("root_id")),
        "group_id": _name(letter.header("group")),
        "died_at": datetime.fromtimestamp(letter.at, UTC),
        "collected_at": now,
        "headers": letter.headers,
        "properties": letter.properties,
        "content_type": letter.content_type,
        "content_encoding": letter.content_encoding,
        "body": letter.body,
        "replays": _number(letter.replays),
        "replay_of": _number(letter.replay_of),
    }


def _number(told: int | None) -> int | None:
    """Return a number of anybody's, if a column holds it."""
    return told if told is None or 0 <= told < 2**63 else 0


def _name(text: str | None) -> str | None:
    """Shorten a name for its index; whole it stands in the headers."""
    return text[:LETTER_NAME_LENGTH] if text is not None else None
