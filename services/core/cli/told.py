"""How the commands that watch the fleet write times, ages and sizes, and how they ask before an act."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from getpass import getuser

import typer

UNKNOWN = "unknown"
NONE = "–"


def number(value: int | None) -> str:
    """Write a count; one that nobody could tell is unknown, which is not zero."""
    return UNKNOWN if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """Write a length of time in the unit that suits it."""
    if value is None:
        return NONE
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if value >= 2 * size:
            return f"{value / size:.0f} {unit}"
    return f"{value:.0f} s" if value >= 10 else f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def instant(at: float | datetime | None) -> str:
    """Write an instant in UTC, to the second; numbers are seconds since the epoch."""
    if at is None:
        return NONE
    time = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return f"{time.astimezone(UTC):%F %T}"


def mebibytes(kib: int | None) -> str:
    """Write an amount of memory."""
    return NONE if kib is None else f"{kib / 1024:.0f} MiB"


def who() -> str:
    """Return who acts: the user of this machine who runs the command."""
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user has no name
        return "somebody"


def agreed(question: str, *, yes: bool) -> bool:
    """Ask before an act that can't be undone; only a person at a terminal is asked, others say ``--yes``."""
    return yes or (sys.stdin.isatty() and typer.confirm(question, err=True))
