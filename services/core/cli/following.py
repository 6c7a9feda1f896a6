"""Follows a job, a campaign or a mail in the ledger until it has ended, and prints what became of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.core.cli import exit_codes
from services.core.cli.outcome import print_outcome
from services.core.ledger.engine import Ledger
from services.core.ledger.states import State
from services.core.usecases.overview import Overview, overview

ASK_EVERY_SECONDS = 0.2
LISTED = 1_000
"""Files or recipients that are printed; ``--all`` prints every one."""

UNDER_WAY = {State.LOADING, State.WAITING, State.PENDING, State.QUEUED, State.RUNNING}
NOT_WELL = {State.FAILED, State.INVALID, State.UNKNOWN}


def follow(
    ledger: Ledger, wanted: str, *, wait: bool, timeout: float | None, as_json: bool, everything: bool = False
) -> int:
    """Print the outcome of what has an id, at once or when it has ended.

    Args:
        ledger: The ledger.
        wanted: The id.
        wait: Whether to follow it to its end.
        timeout: Seconds to follow it; without limit when ``None``.
        as_json: Print one JSON document instead of progress and tables.
        everything: List every recipient of a campaign, not only those whose mail did not go out.

    Returns:
        The exit code for the command.

    Raises:
        UnknownId: Nothing has this id.
    """
    ended = not wait or _watch(ledger, wanted, timeout, _silent if as_json else _shown())
    view = overview(ledger, wanted, limit=LISTED)
    if as_json:
        typer.echo(json.dumps(asdict(view), default=str, indent=2))
    else:
        print_outcome(ledger, view, everything=everything)
    return exit_code(view) if ended else exit_codes.TIMED_OUT


def state_of(view: Overview) -> State:
    """Return the one state of a job, campaign or mail."""
    return view.status if view.kind == "mail" else view.state


def exit_code(view: Overview) -> int:
    """Return 1 when anything of it did not go well, else 0; what is under way is well so far."""
    counts = {} if view.kind == "mail" else view.counts
    failed = state_of(view) in NOT_WELL or any(counts.get(state) for state in NOT_WELL)
    return exit_codes.FAILED if failed else exit_codes.OK


Show = Callable[[Overview], None]


def _watch(ledger: Ledger, wanted: str, timeout: float | None, show: Show) -> bool:
    deadline = time.monotonic() + timeout if timeout is not None else None
    try:
        while True:
            view = overview(ledger, wanted, limit=0)
            show(view)
            if state_of(view) not in UNDER_WAY:
                return True
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(ASK_EVERY_SECONDS)
    finally:
        getattr(show, "close", lambda: None)()


def _silent(_: Overview) -> None:
    pass


def _shown() -> Show:
    return ProgressBar() if sys.stdout.isatty() else ProgressLines()


class ProgressBar:
    """A live bar, for a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[counts]}"),
            console=Console(),
        )
        self._task = self._progress.add_task("", total=None, counts="")
        self._progress.start()

    def __call__(self, view: Overview) -> None:
        """Draw how far it is."""
        current, total = _progress(view)
        self._progress.update(self._task, description=view.id, completed=current, total=total, counts=_counts(view))

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


class ProgressLines:
    """A line for every tenth of the way, for a pipe or a file."""

    def __init__(self) -> None:
        self._last: tuple[State, int] | None = None

    def __call__(self, view: Overview) -> None:
        """Print a line when something has moved."""
        current, total = _progress(view)
        now = (state_of(view), current * 10 // max(total, 1))
        if now != self._last:
            self._last = now
            typer.echo(f"{view.id}: {state_of(view)}, {current} of {total}  {_counts(view)}".rstrip())


def _progress(view: Overview) -> tuple[int, int]:
    if view.kind == "mail":
        return int(view.status not in UNDER_WAY), 1
    return view.progress.current, view.progress.total


def _counts(view: Overview) -> str:
    counts = {} if view.kind == "mail" else view.counts
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)
