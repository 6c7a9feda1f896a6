"""Commands for messages that were taken out of circulation: ``dead list``, ``show``, ``replay``, ``edit``, ``drop``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.core.ledger.engine import Ledger

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The number of a dead letter, from `yard dead list`.")]
Numbers = Annotated[list[int] | None, typer.Argument(metavar="NUMBER…", help="Dead letters by their numbers.")]
Queue = Annotated[str | None, typer.Option(help="Only of this queue.")]
Task = Annotated[str | None, typer.Option(help="Only of this task.")]
Reason = Annotated[str | None, typer.Option(help="Only for this reason, such as failed, poison or expired.")]
Broker = Annotated[str | None, typer.Option("--broker", "-b", metavar="ALIAS", help="Only from this broker.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Taken out since: 30m, 2h, 7d, or 2026-11-21T09:30.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Taken out before: as for --since.")]
TaskId = Annotated[str | None, typer.Option("--id", metavar="TASK-ID", help="Only of this task id.")]
Workflow = Annotated[
    str | None, typer.Option(metavar="ID", help="Only of this workflow: the id of its first task, or of a group.")
]
Text = Annotated[str | None, typer.Option(help="Only with this text in the task's name, the cause or the traceback.")]

dead = typer.Typer(
    no_args_is_help=True,
    help="Find, read, replay, edit and drop dead letters: messages that were taken out of circulation.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    app.add_typer(dead, name="dead", rich_help_panel="Work")


@dead.command("list")
def list_(
    *,
    numbers: Numbers = None,
    queue: Queue = None,
    task: Task = None,
    reason: Reason = None,
    broker: Broker = None,
    since: Since = None,
    until: Until = None,
    task_id: TaskId = None,
    workflow: Workflow = None,
    text: Text = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were replayed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The most to list.")] = 100,
    after: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Begin behind this one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first, without their arguments.

    \b
    Examples:
      yard dead list --reason failed --since 2h
      yard dead list --workflow 5b3d2c1e-7a40-4c8b-9f5e-2d1a6b7c8d9e --all
      yard dead list --queue email.bulk --json | jq '.letters[].number'
    """
    from services.core.cli.dead_letters import letter_filter, print_letters

    which = letter_filter(
        numbers=numbers, queue=queue, task=task, reason=reason, broker=broker, since=since, until=until,
        task_id=task_id, workflow=workflow, text=text, replayed=None if everything else False,
    )  # fmt: skip
    print_letters(_open_ledger(), which, after=after, limit=limit, as_json=as_json)


@dead.command()
def show(
    number: Number,
    arguments: Annotated[
        bool, typer.Option("--arguments", help="Also print the arguments, which may hold addresses and secrets.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a dead letter: cause, traceback, headers, stamps, workflow, origin and lineage.

    \b
    Examples:
      yard dead show 17
      yard dead show 17 --arguments --json
    """
    from services.core.cli.dead_letters import print_letter

    print_letter(_open_ledger(), number, arguments=arguments, as_json=as_json)


@dead.command()
def replay(
    *,
    numbers: Numbers = None,
    queue: Queue = None,
    task: Task = None,
    reason: Reason = None,
    broker: Broker = None,
    since: Since = None,
    until: Until = None,
    task_id: TaskId = None,
    workflow: Workflow = None,
    text: Text = None,
    everything: Annotated[bool, typer.Option("--all", help="Without a filter: every dead letter.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be replayed.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.001, metavar="N", help="So many a second; all at once by default.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most to replay.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="They expire after this time, such as 1h; never by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish dead letters again, as they were and under the same task ids, so that their workflows go on.

    They go through the outbox: a broker that is away delays them.  Each goes once, also when this command is
    interrupted or run twice; what Ctrl-C leaves is as it was.

    \b
    Examples:
      yard dead replay 17 18
      yard dead replay --queue email.bulk --since 2h --dry-run
      yard dead replay --reason expired --rate 5 --expires 1h
    """
    from services.core.cli.dead_letters import letter_filter
    from services.core.cli.dead_replay import replay_all

    which = letter_filter(
        numbers=numbers, queue=queue, task=task, reason=reason, broker=broker, since=since, until=until,
        task_id=task_id, workflow=workflow, text=text, everything=everything,
    )  # fmt: skip
    raise typer.Exit(
        replay_all(_open_ledger(), which, dry=dry_run, rate=rate, limit=limit, expires=expires, as_json=as_json)
    )


@dead.command()
def edit(
    number: Number,
    args: Annotated[
        str | None, typer.Option("--args", metavar="JSON", help="All positional arguments, a list.")
    ] = None,
    kwargs: Annotated[
        str | None, typer.Option("--kwargs", metavar="JSON", help="All keyword arguments, an object.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=JSON", help="One keyword argument; what is no JSON is a text."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Go back to the arguments that it had.")] = False,
    at_once: Annotated[bool, typer.Option("--replay", help="And replay it.")] = False,
) -> None:
    """Change the arguments with which a dead letter will be replayed; those that it had are kept.

    \b
    Examples:
      yard dead edit 17 --set to=ada@example.org --replay
      yard dead edit 18 --args '[3, 4]' --kwargs '{}'
      yard dead edit 18 --undo
    """
    from services.core.cli.dead_replay import edit_and_replay

    raise typer.Exit(edit_and_replay(_open_ledger(), number, args, kwargs, settings or [], undo=undo, replay=at_once))


@dead.command()
def drop(
    *,
    numbers: Numbers = None,
    queue: Queue = None,
    task: Task = None,
    reason: Reason = None,
    broker: Broker = None,
    since: Since = None,
    until: Until = None,
    task_id: TaskId = None,
    workflow: Workflow = None,
    text: Text = None,
    everything: Annotated[bool, typer.Option("--all", help="Without a filter: every dead letter.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="The most to drop.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove dead letters for good; asks first.  Those that were replayed stay until they are too old.

    \b
    Examples:
      yard dead drop 17
      yard dead drop --task reports.nightly --until 7d --yes
    """
    from services.core.cli.dead_letters import drop, letter_filter

    which = letter_filter(
        numbers=numbers, queue=queue, task=task, reason=reason, broker=broker, since=since, until=until,
        task_id=task_id, workflow=workflow, text=text, everything=everything,
    )  # fmt: skip
    raise typer.Exit(drop(_open_ledger(), which, limit=limit, yes=yes))


def _open_ledger() -> Ledger:
    from services.core.bootstrap import ledger
    from services.core.ledger.migrations import require_current

    require_current(ledger())
    return ledger()
