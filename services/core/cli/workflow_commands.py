"""Commands for workflows: ``workflows``, ``workflows show``."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]

workflows = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    app.add_typer(workflows, name="workflows", rich_help_panel="Watch and act")


@workflows.callback(invoke_without_command=True)
def list_(
    context: typer.Context,
    since: Annotated[str, typer.Option(metavar="TIME", help="Begun since: 30m, 2h, 7d, or 2026-11-21T09:30.")] = "1d",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List workflows of more than one task, the newest first, with how many of their tasks failed or are under way.

    \b
    Examples:
      yard workflows
      yard workflows --since 2h --json | jq '.workflows[] | select(.failed > 0) | .root_id'
      yard workflows show 5b3d2c1e-7a40-4c8b-9f5e-2d1a6b7c8d9e
    """
    if context.invoked_subcommand is None:
        from services.core.cli.workflows import print_workflows

        raise typer.Exit(print_workflows(since=since, limit=limit, as_json=as_json))


@workflows.command()
def show(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The id of any of its tasks, or of a group.")],
    steps: Annotated[int, typer.Option(min=1, help="The most steps to draw.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Draw a workflow as a tree: what follows from what, on which broker, in which state, how long it took.

    A step that waits for several, as the body of a chord, stands below the first of them; the others name it.

    \b
    Examples:
      yard workflows show 5b3d2c1e-7a40-4c8b-9f5e-2d1a6b7c8d9e
      yard workflows show 5b3d2c1e-7a40-4c8b-9f5e-2d1a6b7c8d9e --json | jq '.steps[] | select(.state == "failed")'
    """
    from services.core.cli.workflows import print_workflow

    raise typer.Exit(print_workflow(task_id, most=steps, as_json=as_json))
