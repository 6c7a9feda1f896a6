"""Replay dead letters: each is marked in the transaction that puts its message into the outbox, so it goes once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.core.ledger import dead_letters as letters
from services.core.ledger.dead_letters import LetterFilter
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import InvalidSubmission, UnknownId
from services.core.ledger.outbox import Outgoing, add_entries
from shared.dead_letters import DeadLetter
from shared.errors import FleetError
from shared.replaying import arguments_of, edited_body

Publish = Callable[[DeadLetter, int, datetime, bytes | None], Outgoing]
"""Makes of a dead letter, its number, the time and its edited body what is to be published."""
Check = Callable[[str, Sequence[Any], Mapping[str, Any]], None]
"""Raises where a task does not take these arguments."""


@dataclass(slots=True)
class Replayed:
    """What became of some dead letters."""

    numbers: list[int] = field(default_factory=list)
    """Those that are on their way."""
    refused: dict[int, str] = field(default_factory=dict)
    """Those that can't be replayed, and why not."""
    after: int | None = None
    """Where to go on; ``None`` after the last."""


def replay_letters(
    ledger: Ledger, which: LetterFilter, *, publish: Publish, limit: int, after: int = 0, dry: bool = False
) -> Replayed:
    """Put dead letters into the outbox, in one transaction, and mark them as replayed.

    Letters that were replayed already, or that another replay has in hand, are left out.

    Args:
        ledger: The ledger.
        which: Which ones.
        publish: Makes of each what is to be published; what it refuses is left as it is.
        limit: How many at most.
        after: Where the part before ended.
        dry: Only tell; nothing is changed.
    """
    told = Replayed()
    with ledger.reading() if dry else ledger.writing() as session:
        now = ledger.clock()
        wanted = replace(which, replayed=False)
        rows = letters.find_letters(session, wanted, after=after, limit=limit, lock=not dry)
        for row in rows:
            try:
                outgoing = publish(letters.letter_of(row), row.id, now, row.edited_body)
            except FleetError as error:
                told.refused[row.id] = str(error)
                continue
            told.numbers.append(row.id)
            if not dry:
                row.replayed_at = now
                add_entries(session, [outgoing], now)
    told.after = rows[-1].id if len(rows) == limit else None
    return told


def edit_letter(
    ledger: Ledger,
    number: int,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    check: Check,
) -> None:
    """Change with which arguments a dead letter will be replayed; what it had is kept.

    Args:
        ledger: The ledger.
        number: Which one.
        args: The positional arguments; those that it has by default.
        kwargs: The keyword arguments; those that it has by default.
        settings: Single keyword arguments, over those.
        check: Is asked whether the task takes them.

    Raises:
        UnknownId: There is none of this number.
        InvalidSubmission: It was replayed already, or the task does not take these arguments.
        NotReplayable: Its arguments can't be read.
    """
    with ledger.writing() as session:
        rows = letters.find_letters(session, LetterFilter(numbers=[number], replayed=None), limit=1, lock=True)
        if not rows:
            raise UnknownId("dead letter", str(number))
        [row] = rows
        if row.replayed_at is not None:
            raise InvalidSubmission(f"Dead letter {number} was replayed already; nothing was changed.")
        letter = letters.letter_of(row)
        if row.edited_body is not None:
            letter = replace(letter, body=row.edited_body)
        had_args, had_kwargs, _ = arguments_of(letter)
        new_args = had_args if args is None else args
        new_kwargs = {**(had_kwargs if kwargs is None else kwargs), **(settings or {})}
        if letter.task:
            check(letter.task, new_args, new_kwargs)
        letters.edit_letter(session, number, edited_body(letter, new_args, new_kwargs))


def undo_edit(ledger: Ledger, number: int) -> None:
    """Have a dead letter be replayed with the arguments that it had."""
    with ledger.writing() as session:
        letters.edit_letter(session, number, None)
