"""The command for a new release on a fleet that runs: ``restart``."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``yard``."""
    app.command(rich_help_panel="Fleet")(restart)


def restart(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="SERVICE…", help="As `yard status` names them; all by default.")
    ] = None,
) -> None:
    """Restart the processes of the fleet that `yard up` started, one after the other, under load.

    Each gets its grace period to end its work, and what it can't end goes back to its queue.  The next one is stopped
    when the one before is ready again.  Brokers and mail catcher go on.  The tables of the ledger are brought to this
    release first.  Ctrl-C ends it after the process whose turn it is; those after it were not touched.

    \b
    Examples:
      yard restart                          after an upgrade
      yard restart email.bulk email.critical
    """
    from services.core.cli.restart import restart_all

    restart_all(services or [])
