"""Commands that say how the processes of this machine or container are: ``health live``, ``health ready``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from services.core.cli import exit_codes

if TYPE_CHECKING:
    from shared.health import Verdict

Process = Annotated[
    str,
    typer.Option(
        help="A worker's node name, or what is before its @; beat; relay; observer; api. All of them by default."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    health = typer.Typer(
        help="Say whether the processes of this machine or container are live, or ready, as they report it.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (live, ready):
        health.command()(command)
    app.add_typer(health, name="health", rich_help_panel="Processes")


def live(process: Process = "") -> None:
    """End with 0 when each process is live: its loop turned lately.

    An outage of a broker leaves a worker live.  What is not live needs a restart.
    """
    _answer(process, "live", lambda verdict: verdict.live)


def ready(process: Process = "") -> None:
    """End with 0 when each process is ready: it is connected, and takes the work that waits.

    A busy worker is ready, and one whose queues are paused.
    """
    _answer(process, "ready", lambda verdict: verdict.ready)


def _answer(process: str, question: str, good: Callable[[Verdict], bool]) -> None:
    """Print a line for each process, and end with 1 when one is not what was asked for."""
    from shared.health import verdicts
    from shared.settings import load_settings

    folder = load_settings().run_folder
    found = verdicts(folder, process or None)
    for verdict in found:
        typer.echo(f"{verdict.process}: {'' if good(verdict) else 'not '}{question}, {verdict.why}")
    if not found:
        typer.echo(f"{process or 'no process'}: not {question}, nothing reports in {folder}")
    raise typer.Exit(exit_codes.OK if found and all(map(good, found)) else exit_codes.FAILED)
