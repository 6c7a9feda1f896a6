"""Dead letters as records: listed page by page, one with all that it holds, counted, removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core.ledger.dead_letters import (
    Choice,
    LetterFilter,
    count_by,
    count_letters,
    find_letters,
    letter_of,
    remove_letters,
    removed_letters,
)
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import UnknownId
from services.core.ledger.models import KeptLetter
from services.core.usecases.records import Page
from shared.dead_letters import DeadLetter

REMOVED_AT_ONCE = 500
CHOICES: Sequence[Choice] = ("reason", "queue", "task", "broker")
MOST_CHOICES = 50


@dataclass(frozen=True, slots=True)
class LetterEntry:
    """One dead letter in a list; without its arguments, which may be secret."""

    number: int
    task_id: str | None
    task: str | None
    queue: str
    broker: str | None
    reason: str
    detail: str
    died_at: datetime
    root_id: str | None
    """The first task of its workflow."""
    group_id: str | None
    replays: int
    """How often its message was replayed before."""
    replay_of: int | None
    """The dead letter whose replay it was."""
    replayed_at: datetime | None
    edited: bool
    """Whether it will be replayed with other arguments than it had."""


@dataclass(frozen=True, slots=True)
class LetterView:
    """One dead letter with all that it holds."""

    entry: LetterEntry
    letter: DeadLetter
    edited_body: bytes | None


@dataclass(frozen=True, slots=True)
class LetterCounts:
    """How many dead letters the ledger keeps that were not replayed, and how many its limits have cost."""

    kept: int
    by_reason: Mapping[str, int]
    expired: int
    """Removed because they were too old."""
    over_limit: int
    """Removed because their queue had too many."""


@dataclass(frozen=True, slots=True)
class LetterChoices:
    """How many dead letters a filter finds, and how many it would find with another value of one of its parts."""

    letters: int
    by: Mapping[str, Mapping[str, int]]
    """For each part its most frequent values: reason, queue, task, broker."""


def list_letters(ledger: Ledger, which: LetterFilter, *, after: int = 0, limit: int) -> Page[LetterEntry, int]:
    """List dead letters in the order in which they came into the ledger.

    Args:
        ledger: The ledger.
        which: Which ones.
        after: Where the page before ended; its ``after``.
        limit: The most to list.
    """
    with ledger.reading() as session:
        rows = find_letters(session, which, after=after, limit=limit + 1, bodies=False)
    page = tuple(entry_of(row) for row in rows[:limit])
    return Page(page, page[-1].number if len(rows) > limit else None)


def the_letter(ledger: Ledger, number: int) -> LetterView:
    """Return a dead letter with all that it holds.

    Raises:
        UnknownId: There is none of this number.
    """
    with ledger.reading() as session:
        row = session.get(KeptLetter, number)
        if row is None:
            raise UnknownId("dead letter", str(number))
        return LetterView(entry_of(row), letter_of(row), row.edited_body)


def count_kept(ledger: Ledger, which: LetterFilter | None = None) -> LetterCounts:
    """Count dead letters.

    Raises:
        LedgerUnavailable: The database is out of reach.
    """
    by_reason: Counter[str] = Counter()
    with ledger.reading() as session:
        for (_, reason), count in count_letters(session, which or LetterFilter()).items():
            by_reason[reason] += count
        removed = removed_letters(session)
    return LetterCounts(
        kept=by_reason.total(),
        by_reason=dict(by_reason),
        expired=sum(row.expired for row in removed),
        over_limit=sum(row.over_limit for row in removed),
    )


def count_choices(ledger: Ledger, which: LetterFilter) -> LetterChoices:
    """Count dead letters by what they can be filtered by.

    Raises:
        LedgerUnavailable: The database is out of reach.
    """
    with ledger.reading() as session:
        letters = sum(count_letters(session, which).values())
        return LetterChoices(letters, {part: count_by(session, which, part, MOST_CHOICES) for part in CHOICES})


def drop_letters(ledger: Ledger, which: LetterFilter, limit: int | None = None) -> int:
    """Remove dead letters for good; return how many there were.

    Args:
        ledger: The ledger.
        which: Which ones.
        limit: How many at most.
    """
    dropped = 0
    while limit is None or dropped < limit:
        most = REMOVED_AT_ONCE if limit is None else min(REMOVED_AT_ONCE, limit - dropped)
        with ledger.writing() as session:
            numbers = [row.id for row in find_letters(session, which, limit=most, lock=True, bodies=False)]
            remove_letters(session, numbers)
        dropped += len(numbers)
        if len(numbers) < most:
            break
    return dropped


def entry_of(row: KeptLetter) -> LetterEntry:
    """Describe a dead letter as it stands."""
    return LetterEntry(
        number=row.id,
        task_id=row.task_id,
        task=row.task,
        queue=row.queue,
        broker=row.broker,
        reason=row.reason,
        detail=row.detail,
        died_at=row.died_at,
        root_id=row.root_id,
        group_id=row.group_id,
        replays=row.replays,
        replay_of=row.replay_of,
        replayed_at=row.replayed_at,
        edited=row.edited_body is not None,
    )


def as_plain(entry: LetterEntry) -> dict[str, Any]:
    """Return an entry as JSON can say it."""
    return {name: getattr(entry, name) for name in LetterEntry.__slots__}
