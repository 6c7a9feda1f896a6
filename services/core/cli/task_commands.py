"""Commands for the history of tasks: ``tasks``, ``tasks show``, ``tasks revoke``."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]

tasks = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    app.add_typer(tasks, name="tasks", rich_help_panel="Watch and act")


@tasks.callback(invoke_without_command=True)
def list_(
    context: typer.Context,
    *,
    state: Annotated[
        list[str] | None, typer.Option("--state", "-s", help="Only in this state, see below; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option("--task", help="Only tasks of this name.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only of this queue.")] = None,
    broker: Annotated[str | None, typer.Option("--broker", "-b", metavar="ALIAS", help="Only of this broker.")] = None,
    worker: Annotated[str | None, typer.Option(metavar="NODE", help="Only what this worker ran last.")] = None,
    workflow: Annotated[
        str | None, typer.Option(metavar="ID", help="Only of this workflow: the id of its first task, or of a group.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Since: 30m, 2h, 7d, or 2026-11-21T09:30.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before: as for --since.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Only with this text in the id, the name, the arguments or the exception.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most to list.")] = 50,
    after: Annotated[str | None, typer.Option(metavar="PLACE", help="Go on behind a page, as it says.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search the history of tasks, the newest first; arguments are shown by `yard tasks show` alone.

    The recorder keeps it (`yard recorder`, part of `yard up`) from what publishers and workers tell.

    \b
    States:
      sent, received, started, retried    under way
      succeeded, failed, revoked, rejected    ended

    \b
    Examples:
      yard tasks --state failed --since 2h
      yard tasks --task email.send --text ada@example.org
      yard tasks --queue file.images --state started --json | jq '.tasks[].id'
    """
    if context.invoked_subcommand is None:
        from services.core.cli.tasks import print_tasks, task_filter

        which = task_filter(
            states=state or [], name=name, queue=queue, broker=broker, worker=worker, workflow=workflow,
            since=since, until=until, text=text,
        )  # fmt: skip
        raise typer.Exit(print_tasks(which, cursor=after, limit=limit, as_json=as_json))


@tasks.command()
def show(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a task.")],
    arguments: Annotated[
        bool, typer.Option("--arguments", help="Also print arguments and result, which may hold addresses and secrets.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is known of a task: state, times, worker, workflow, exception and traceback.

    \b
    Examples:
      yard tasks show 5b0c71f0-3c3a-4a0c-8d7c-0f8d8c7e1f11
      yard tasks show 5b0c71f0-3c3a-4a0c-8d7c-0f8d8c7e1f11 --arguments --json
    """
    from services.core.cli.tasks import print_task

    raise typer.Exit(print_task(task_id, arguments=arguments, as_json=as_json))


@tasks.command()
def revoke(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids of tasks.")],
    terminate: Annotated[bool, typer.Option("--terminate", help="Also end those that run, in prefork pools.")] = False,
) -> None:
    """Have no worker run tasks; those that wait for their time are taken out of shared state.

    \b
    Examples:
      yard tasks revoke 5b0c71f0-3c3a-4a0c-8d7c-0f8d8c7e1f11
      yard tasks --queue email.bulk --state sent --json | jq -r '.tasks[].id' | xargs yard tasks revoke
    """
    from services.core.cli.tasks import revoke

    raise typer.Exit(revoke(ids, terminate=terminate))
