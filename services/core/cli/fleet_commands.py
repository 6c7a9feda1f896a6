"""Commands for the fleet as a whole: ``up``, ``down``, ``status``, ``check``, ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    for command in (up, down, status, check, demo):
        app.command(rich_help_panel="Fleet")(command)


def up() -> None:
    """Start the whole fleet on this machine and leave it running.

    Brokers of its own on free ports, a mail catcher, a worker for each queue, the schedule, the observer and
    the API; all that they write is below YARD_HOME (`var`).  End it with `yard down`.
    """
    from services.core.cli.telling import tell_phase
    from services.core.local.detached import start_detached
    from shared.settings import load_settings

    state = start_detached(load_settings().home, progress=tell_phase)
    typer.echo(f"The fleet is up: {len(state.services)} services, below {load_settings().home.resolve()}")
    api = state.services.get("api")
    if api is not None and (port := api.ports.get("http")) is not None:
        typer.echo(f"The API: http://127.0.0.1:{port}, with a key of `yard key create`")
    typer.echo(f"Mail goes to no relay: each message is kept as a file in {load_settings().home.resolve() / 'mail'}")
    typer.echo("Try: yard process PATH…, yard send, yard campaign, yard status; end it with yard down.")


def down() -> None:
    """End the fleet that `yard up` started; running work gets time to end, what waits stays in the brokers."""
    from services.core.cli.telling import tell_phase
    from services.core.local.detached import stop_detached
    from shared.settings import load_settings

    ran = stop_detached(load_settings().home, progress=tell_phase)
    typer.echo("The fleet is down." if ran else "No fleet was up.")


def status(as_json: AsJson = False) -> None:
    """Show brokers, queue depths, workers, and the processes of a fleet on this machine.

    A broker that can't be asked is shown as down, and its depths as unknown.
    """
    from services.core.cli.status import print_status

    raise typer.Exit(print_status(as_json=as_json))


def check(as_json: AsJson = False) -> None:
    """Check settings, tables, brokers, result store, ledger, storage and mail relay; change nothing."""
    from services.core.cli.checks import print_checks

    raise typer.Exit(print_checks(as_json=as_json))


def demo(
    home: Annotated[Path, typer.Option(help="Folder for everything it writes; emptied first.")] = Path("var/demo"),
) -> None:
    """Run both workflows on the example files and recipients, in a fleet of its own that is gone afterwards."""
    from services.core.cli.demo import run_demo

    raise typer.Exit(run_demo(home))
