"""Follows a job, a campaign or a mail in the ledger until it has ended, and prints what became of it."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from services.core.cli import exit_codes
from services.core.cli.outcome import print_outcome
from services.core.cli.progress import Show, Step, shown, silent, watch
from services.core.cli.task_progress import under_way_in
from services.core.ledger.engine import Ledger
from services.core.ledger.states import State
from services.core.usecases.overview import Overview, overview

LISTED = 1_000
"""Files or recipients that are printed; ``--all`` prints every one."""

UNDER_WAY = {State.LOADING, State.WAITING, State.PENDING, State.QUEUED, State.RUNNING, State.PAUSED}
NOT_WELL = {State.FAILED, State.INVALID, State.UNKNOWN, State.CANCELLED}


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
    ended = not wait or _watch(ledger, wanted, timeout, silent if as_json else shown())
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


def _watch(ledger: Ledger, wanted: str, timeout: float | None, show: Show) -> bool:
    def look() -> tuple[Step, bool]:
        view = overview(ledger, wanted, limit=0)
        under_way = state_of(view) in UNDER_WAY
        step = _step(view, under_way_in(ledger, view.id) if view.kind == "job" and under_way else "")
        return step, not under_way

    return watch(look, timeout, show)


def _step(view: Overview, under_way: str) -> Step:
    current, total = _progress(view)
    return Step(view.id, str(state_of(view)), current, total, "; ".join(filter(None, [_counts(view), under_way])))


def _progress(view: Overview) -> tuple[int, int]:
    if view.kind == "mail":
        return int(view.status not in UNDER_WAY), 1
    return view.progress.current, view.progress.total


def _counts(view: Overview) -> str:
    counts = {} if view.kind == "mail" else view.counts
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)
