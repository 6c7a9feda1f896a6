"""Shows how far something is: a live bar on a terminal, a line for every tenth of the way elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ASK_EVERY_SECONDS = 0.2


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


def watch(look: Callable[[], tuple[Step, bool]], timeout: float | None, show: Show) -> bool:
    """Show how far something is until it has ended.

    Args:
        look: Says how far it is now, and whether it has ended.
        timeout: Seconds to watch it; without limit when ``None``.
        show: Takes each step, and is closed at the end.

    Returns:
        Whether it has ended.
    """
    deadline = time.monotonic() + timeout if timeout is not None else None
    try:
        while True:
            step, ended = look()
            show(step)
            if ended:
                return True
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(ASK_EVERY_SECONDS)
    finally:
        getattr(show, "close", lambda: None)()


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
