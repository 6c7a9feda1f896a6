"""The command that proves the promises: ``chaos``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``yard``."""
    app.command(rich_help_panel="Fleet")(chaos)


def chaos(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="campaign, files or mixed (both).")],
    *,
    seed: Annotated[int, typer.Option(help="The same seed gives the same faults.")] = 7,
    minutes: Annotated[float, typer.Option(min=0.1, help="For how long faults happen.")] = 5.0,
    recipients: Annotated[int, typer.Option(min=0, help="Recipients of campaigns.")] = 2_000,
    files: Annotated[int, typer.Option(min=0, help="Files to process.")] = 100,
    chords: Annotated[int, typer.Option(min=0, help="File jobs, each a chord of its share of the files.")] = 10,
    mails: Annotated[int, typer.Option(min=0, help="Single mails.")] = 20,
    stock: Annotated[bool, typer.Option("--stock", help="The same shapes of work and faults on plain Celery.")] = False,
    containers: Annotated[
        bool, typer.Option("--containers", help="The fleet of compose.yaml, as a project of its own.")
    ] = False,
    home: Annotated[Path, typer.Option(help="Folder for everything it writes; emptied first.")] = Path("var/chaos"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")] = False,
) -> None:
    """Strike a fleet of its own with faults while it works, and count what is lost and what is repeated.

    Workers, single children, the relay, the schedule, the observer and the brokers are killed, frozen, restarted and
    cut off by lot; in containers also PostgreSQL, and every worker is replaced under load.  Then everything is let go,
    and what was accepted is reconciled with what arrived.

    \b
    Examples:
      yard chaos campaign --minutes 2
      yard chaos mixed --seed 3 --recipients 20000 --files 500
      yard chaos campaign --stock
      yard chaos mixed --containers
    """
    from services.core.cli.chaos import Subject, run_chaos

    if stock and containers:
        raise typer.BadParameter("Plain Celery is not run in containers: take --stock or --containers.")
    raise typer.Exit(
        run_chaos(
            scenario,
            Subject.STOCK if stock else Subject.CONTAINERS if containers else Subject.LOCAL,
            seed=seed,
            minutes=minutes,
            work={"recipients": recipients, "files": files, "chords": chords, "mails": mails},
            home=home,
            as_json=as_json,
        )
    )
