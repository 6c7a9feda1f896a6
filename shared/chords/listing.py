"""The open chords of a fleet, for those who look after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.chords.table import FIRST_PAUSE_SECONDS

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery


@dataclass(frozen=True, slots=True)
class OpenChord:
    """A chord that waits for its members."""

    id: str
    """The id of its header's group."""
    body: str
    """The name of its body's task."""
    size: int | None
    """How many members have to end; ``None`` while they are being published."""
    ended: int
    deadline: datetime
    quiet: bool
    """Whether no member ended between the last two looks of a worker: it may be stuck."""
    missing: tuple[str, ...]
    """The task ids of members that have not ended; none where they are not known."""


def open_chords(app: FleetCelery, *, limit: int = 100, quiet_only: bool = False) -> list[OpenChord]:
    """List open chords, those first that are looked after next.

    Args:
        app: The fleet; it needs shared state.
        limit: How many are looked at.
        quiet_only: Leave out those whose members go on ending.

    Raises:
        redis.RedisError, OSError: Shared state does not answer.
    """
    found = []
    for record, ended in app.chords.all(limit):
        quiet = record.pause > FIRST_PAUSE_SECONDS
        if quiet_only and not quiet:
            continue
        reported = app.chords.reported(record.id)
        found.append(
            OpenChord(
                record.id,
                str(record.body_of(app).task),
                record.size,
                ended,
                datetime.fromtimestamp(record.deadline, UTC),
                quiet,
                tuple(task_id for task_id in record.task_ids if task_id not in reported),
            )
        )
    return found
