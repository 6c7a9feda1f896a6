"""The commands of ``yard``; each module below imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import sys

import typer

from services.core.cli import (
    api_commands,
    chaos_commands,
    container_commands,
    control_commands,
    dead_commands,
    exit_codes,
    fleet_commands,
    health_commands,
    key_commands,
    process_commands,
    queue_commands,
    restart_commands,
    schedule_commands,
    task_commands,
    top_commands,
    work_commands,
    worker_commands,
    workflow_commands,
)
from services.core.cli.sections import SectionedGroup
from shared.errors import ConfigurationError, FleetError, PublishError, ResultStoreOutOfReach

app = typer.Typer(
    name="yard",
    cls=SectionedGroup,
    help="Run the fleet, give it work, and see what became of it.",
    epilog=exit_codes.TABLE,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
fleet_commands.register(app)
restart_commands.register(app)
process_commands.register(app)
health_commands.register(app)
api_commands.register(app)
key_commands.register(app)
control_commands.register(app)
work_commands.register(app)
dead_commands.register(app)
for commands in (
    top_commands, queue_commands, worker_commands, task_commands, workflow_commands, schedule_commands,
):  # fmt: skip
    commands.register(app)
container_commands.register(app)
chaos_commands.register(app)


def main() -> None:
    """Run ``yard``: errors of ours are one clear line and an exit code, never a traceback."""
    try:
        app()
    except FleetError as error:
        typer.echo(f"yard: {error}", err=True)
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        typer.echo("yard: interrupted", err=True)
        sys.exit(exit_codes.INTERRUPTED)


def exit_code_of(error: FleetError) -> int:
    """Return the exit code that an error of ours ends the command with."""
    from services.core.ledger.errors import LedgerError, LedgerOutdated, LedgerUnavailable
    from services.core.local.errors import LocalFleetError, NotInstalled

    if isinstance(error, LedgerUnavailable | LedgerOutdated | LocalFleetError | ResultStoreOutOfReach):
        return exit_codes.REFUSED if isinstance(error, NotInstalled) else exit_codes.OUT_OF_REACH
    refused = isinstance(error, LedgerError | ConfigurationError | PublishError)
    return exit_codes.REFUSED if refused else exit_codes.FAILED


if __name__ == "__main__":
    main()
