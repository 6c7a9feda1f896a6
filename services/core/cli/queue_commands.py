"""Commands for queues: ``queues``, ``queues pause``, ``resume``, ``purge``, ``peek``."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Queue = Annotated[str, typer.Argument(metavar="QUEUE", help="The name of a queue, from `yard queues`.")]
Queues = Annotated[list[str], typer.Argument(metavar="QUEUE…", help="Names of queues, from `yard queues`.")]

queues = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    app.add_typer(queues, name="queues", rich_help_panel="Watch and act")


@queues.callback(invoke_without_command=True)
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the queues of all brokers: depth by priority, held, delayed, age of the oldest message, workers, pauses.

    A broker that can't be asked is named, its depths are unknown, and the exit code is 3.

    \b
    Examples:
      yard queues
      yard queues --json | jq '.queues[] | select(.ready > 100) | .name'
      yard queues pause email.bulk
      yard queues peek email.critical
    """
    if context.invoked_subcommand is None:
        from services.core.cli.queues import print_queues

        raise typer.Exit(print_queues(as_json=as_json))


@queues.command()
def pause(names: Queues) -> None:
    """Pause queues for all workers of the fleet, also for those that start later, until somebody resumes them.

    What workers hold ends; nothing new is taken, and publishing goes on.  Workers follow within two seconds.

    \b
    Examples:
      yard queues pause email.bulk
      yard queues pause file.images file.documents
    """
    from services.core.cli.queues import pause

    raise typer.Exit(pause(names))


@queues.command()
def resume(names: Queues) -> None:
    """Have all workers take up queues again that were paused.

    \b
    Example:
      yard queues resume email.bulk
    """
    from services.core.cli.queues import resume

    raise typer.Exit(resume(names))


@queues.command()
def purge(
    name: Queue, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, as_json: AsJson = False
) -> None:
    """Remove every message of a queue that no worker holds, for good; asks first, and says how many there were.

    What waits for its time in shared state stays: revoke it by its id.

    \b
    Examples:
      yard queues purge email.bulk
      yard queues purge file.images --yes
    """
    from services.core.cli.queues import purge

    raise typer.Exit(purge(name, yes=yes, as_json=as_json))


@queues.command()
def peek(
    name: Queue,
    limit: Annotated[int, typer.Option(min=1, max=100, help="The most to show.")] = 10,
    arguments: Annotated[
        bool, typer.Option("--arguments", help="Also print the arguments, which may hold addresses and secrets.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what goes out next of a queue, without a delivery: nothing changes its place, nor counts as handed out.

    RabbitMQ shows a message to nobody without delivering it; there the history tells what was sent and not heard of
    since.

    \b
    Examples:
      yard queues peek email.critical
      yard queues peek core.default --limit 50 --arguments
    """
    from services.core.cli.queues import peek

    raise typer.Exit(peek(name, limit=limit, arguments=arguments, as_json=as_json))
