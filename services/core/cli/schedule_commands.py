"""Commands for the schedule: ``schedule``, ``schedule pause``, ``resume``, ``run``."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Entry = Annotated[str, typer.Argument(metavar="ENTRY", help="The name of an entry, from `yard schedule`.")]

schedule = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    app.add_typer(schedule, name="schedule", rich_help_panel="Watch and act")


@schedule.callback(invoke_without_command=True)
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the entries of the schedule: when each ran last and runs next, and which are paused.

    \b
    Examples:
      yard schedule
      yard schedule --json | jq '.entries[] | {name, next_run}'
      yard schedule run "remove dead letters that are too old"
    """
    if context.invoked_subcommand is None:
        from services.core.cli.schedule import print_schedule

        raise typer.Exit(print_schedule(as_json=as_json))


@schedule.command()
def pause(name: Entry) -> None:
    """Have every beat leave an entry out until it is resumed; what is missed meanwhile is not made up for.

    \b
    Example:
      yard schedule pause "remove the files of old jobs"
    """
    from services.core.cli.schedule import pause

    raise typer.Exit(pause(name))


@schedule.command()
def resume(name: Entry) -> None:
    """Have beat fire an entry again, from its next time on.

    \b
    Example:
      yard schedule resume "remove the files of old jobs"
    """
    from services.core.cli.schedule import resume

    raise typer.Exit(resume(name))


@schedule.command()
def run(name: Entry, as_json: AsJson = False) -> None:
    """Publish the task of an entry now, paused or not; its next time stays as it is.

    \b
    Example:
      yard schedule run "remove what ended long ago from the ledger"
    """
    from services.core.cli.schedule import run

    raise typer.Exit(run(name, as_json=as_json))
