"""Commands that only the fleet in containers needs: ``secrets``, ``mail-catcher``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    for command in (secrets, mail_catcher):
        app.command(rich_help_panel="Containers")(command)


def secrets(
    folder: Annotated[Path, typer.Option(help="The folder of the volumes.")] = Path("/secrets"),
    relay_password: Annotated[
        bool, typer.Option("--relay-password", help="Also ask for the password of the mail relay, and keep it.")
    ] = False,
) -> None:
    """Make the passwords of the fleet in containers; those that are there stay."""
    from services.core.containers.secrets import keep_relay_password, make_secrets

    typer.echo("Passwords were made." if make_secrets(folder) else "All passwords are there already.")
    if relay_password:
        asked = typer.prompt("Password of the relay", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
        if not asked.strip():
            raise typer.BadParameter("No password was given; nothing was kept.")
        keep_relay_password(folder, asked.strip())
        typer.echo("The password of the relay is kept; start the mail workers again.")


def mail_catcher(
    folder: Annotated[Path, typer.Argument(help="Gets a file for each message.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 25,
    answer_after: Annotated[float, typer.Option(min=0, help="Seconds until a message is answered.")] = 0.0,
) -> None:
    """Take mail as a relay does, and keep each message as a file instead of sending it on."""
    from services.core.local import mail_catcher as catcher

    catcher.run(folder, host, port, answer_after=answer_after)
