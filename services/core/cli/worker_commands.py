"""Commands for workers: ``workers``, ``workers drain``, ``workers undrain``."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Timeout = Annotated[float, typer.Option("--timeout", "-t", min=0.1, help="Seconds to wait for answers.")]
Node = Annotated[str, typer.Argument(metavar="NODE", help="The name of a worker; what is before the @ is enough.")]

workers = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    app.add_typer(workers, name="workers", rich_help_panel="Watch and act")


@workers.callback(invoke_without_command=True)
def list_(context: typer.Context, timeout: Timeout = 1.0, as_json: AsJson = False) -> None:
    """Show the workers of all brokers: queues, pool, memory, and what each runs.

    A broker whose workers can't be asked is named, and the exit code is 3.

    \b
    Examples:
      yard workers
      yard workers --json | jq '.workers[] | select(.running == []) | .name'
      yard workers drain file.images
    """
    if context.invoked_subcommand is None:
        from services.core.cli.workers import print_workers

        raise typer.Exit(print_workers(timeout=timeout, as_json=as_json))


@workers.command()
def drain(name: Node, timeout: Timeout = 1.0) -> None:
    """Have one worker take nothing more: it ends what it holds, and stays idle until it is started anew.

    `yard control shutdown -d NODE` ends it instead, and whoever supervises it starts it again.

    \b
    Examples:
      yard workers drain file.images@host
      yard workers undrain file.images@host file.images
    """
    from services.core.cli.workers import drain

    raise typer.Exit(drain(name, timeout=timeout))


@workers.command()
def undrain(
    name: Node,
    queues: Annotated[list[str], typer.Argument(metavar="QUEUE…", help="The queues that it shall serve.")],
    timeout: Timeout = 1.0,
) -> None:
    """Have a worker that was drained serve queues again.

    \b
    Example:
      yard workers undrain file.images@host file.images
    """
    from services.core.cli.workers import undrain

    raise typer.Exit(undrain(name, queues, timeout=timeout))
