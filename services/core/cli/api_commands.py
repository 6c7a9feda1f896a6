"""The command that becomes the HTTP API: ``api``."""

from __future__ import annotations

from typing import Annotated

import typer

from services.core.cli import exit_codes


def register(app: typer.Typer) -> None:
    """Add the command to ``yard``."""
    app.command(rich_help_panel="Processes")(api)


def api(
    host: Annotated[str, typer.Option(help="The address to listen on; YARD_API_HOST by default.")] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port, 0 for a free one; YARD_API_PORT by default.")
    ] = None,
) -> None:
    """Serve the HTTP API; any number may run at once.

    \b
    Examples:
      yard api
      yard api --port 9000
    """
    import logging

    from services.core.api.run import run
    from shared.logs import log_to_stderr
    from shared.settings import load_settings

    log_to_stderr("api")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # what it tells of starting and ending, we tell
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = load_settings()
    began = run(host or settings.api_host, settings.api_port if port is None else port)
    raise typer.Exit(exit_codes.OK if began else exit_codes.FAILED)
