"""``yard top``: the whole fleet on one screen, as it changes."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``yard``."""
    app.command(rich_help_panel="Watch and act")(top)


def top(
    every: Annotated[float, typer.Option("--every", "-n", min=0.5, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print it once, as into a pipe.")] = False,
) -> None:
    """Watch brokers, queues, workers and what runs, on one screen; q ends it.

    Into a pipe it is printed once.

    \b
    Examples:
      yard top
      yard top --every 5
      yard top --once > fleet.txt
    """
    from services.core.cli.top import watch

    raise typer.Exit(watch(every=every, once=once))
