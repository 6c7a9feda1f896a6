"""Shows how far something is: a live bar on a terminal, a line for every tenth of the way elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@dataclass(frozen=True, slots=True)
class Step:
    """How far something is at one instant."""

    what: str
    """Its id."""
    state: str
    current: int
    total: int
    """0 when nobody has said."""
    note: str = ""


Show = Callable[[Step], None]


def silent(_: Step) -> None:
    """Show nothing."""


def shown() -> Show:
    """Return what shows steps on this output."""
    return ProgressBar() if sys.stdout.isatty() else ProgressLines()


class ProgressBar:
    """A live bar, for a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(),
        )
        self._task = self._progress.add_task("", total=None, note="")
        self._progress.start()

    def __call__(self, step: Step) -> None:
        """Draw how far it is."""
        self._progress.update(
            self._task, description=step.what, completed=step.current, total=step.total or None, note=step.note
        )

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


class ProgressLines:
    """A line for every tenth of the way, for a pipe or a file."""

    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None

    def __call__(self, step: Step) -> None:
        """Print a line when something has moved."""
        now = (step.state, step.current * 10 // max(step.total, 1))
        if now != self._last:
            self._last = now
            far = f", {step.current} of {step.total}" if step.total else ""
            typer.echo(f"{step.what}: {step.state}{far}  {step.note}".rstrip())
