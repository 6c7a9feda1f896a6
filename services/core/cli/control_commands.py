"""Commands for the workers of all brokers at once: ``inspect``, ``control``, ``events``."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Arguments = Annotated[list[str] | None, typer.Argument(metavar="ARGUMENT", help="What the command takes.")]
OfBrokers = Annotated[
    list[str] | None, typer.Option("--broker", "-b", metavar="ALIAS", help="Only this broker; may be repeated.")
]
Destination = Annotated[
    list[str] | None, typer.Option("--destination", "-d", metavar="NODE", help="Only this worker; may be repeated.")
]
Timeout = Annotated[float, typer.Option("--timeout", "-t", min=0.1, help="Seconds to wait for answers.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    for command in (inspect, control, events):
        app.command(rich_help_panel="Workers")(command)


def inspect(
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="What to ask, see below.")],
    arguments: Arguments = None,
    destination: Destination = None,
    broker: OfBrokers = None,
    timeout: Timeout = 1.0,
    as_json: AsJson = False,
) -> None:
    """Ask the workers of every broker what they do, and change nothing.

    It is Celery's `inspect` over all brokers.  A broker that is out of reach is named, and the exit code is 3; a
    worker that was named and does not answer makes it 1.

    \b
    Commands:
      active                    what runs
      reserved                  what workers hold and have not begun
      scheduled                 what waits for its time, in workers and in shared state
      revoked                   what will not run
      query_task ID…            where a task is
      active_queues             the queues that each worker serves
      registered [ATTRIBUTE]…   the tasks that each worker knows
      stats, report, conf       numbers, versions, settings (conf yes: Celery's defaults too)
      ping, clock               who is there
      memsample, memdump        memory
      objgraph                  for Celery's own developers

    \b
    Examples:
      yard inspect active
      yard inspect registered rate_limit -d email.critical@host
      yard inspect stats --broker batch --json | jq '.brokers[].workers'
    """
    from services.core.cli.asking import ask

    code = ask(
        "inspect", command, arguments or [], destination or [], broker or [], timeout=timeout, as_json=as_json
    )  # fmt: skip
    raise typer.Exit(code)


def control(
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="What to do, see below.")],
    arguments: Arguments = None,
    destination: Destination = None,
    broker: OfBrokers = None,
    timeout: Timeout = 1.0,
    as_json: AsJson = False,
) -> None:
    """Tell the workers of every broker what to do.

    It is Celery's `control` over all brokers.  Without -d or -b every worker is meant, also by `shutdown`.  A broker
    that is out of reach is named, and the exit code is 3; a worker that refuses, or that was named and does not
    answer, makes it 1.  What is told holds until a worker is started anew.

    \b
    Commands:
      revoke ID…                       do not run these tasks
      terminate SIGNAL ID…             nor go on with them
      revoke_by_stamped_headers K=V…   nor with those that bear a stamp
      rate_limit TASK RATE             for each worker by itself, such as 10/m; 0 is none
      time_limit TASK SOFT [HARD]      in seconds
      add_consumer QUEUE               serve one more queue of its broker
      cancel_consumer QUEUE            pause a queue
      pool_grow [N], pool_shrink [N]   more or fewer processes
      autoscale [MAX [MIN]]            where workers run with --autoscale
      pool_restart                     where worker_pool_restarts is set
      enable_events, disable_events    tell monitors of tasks
      heartbeat                        tell monitors that they live
      election                         for Celery's own developers
      shutdown                         end when what runs is done

    \b
    Examples:
      yard control cancel_consumer email.bulk
      yard control revoke 5b0c71f0-3c3a-4a0c-8d7c-0f8d8c7e1f11
      yard control pool_grow 2 -d file.images@host
    """
    from services.core.cli.asking import ask

    code = ask(
        "control", command, arguments or [], destination or [], broker or [], timeout=timeout, as_json=as_json
    )  # fmt: skip
    raise typer.Exit(code)


def events(
    kind: Annotated[
        list[str] | None, typer.Option("--type", help="Only events of this type, such as task-failed; may be repeated.")
    ] = None,
    broker: OfBrokers = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    seconds: Annotated[float | None, typer.Option("--for", min=0, help="End after so many seconds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what happens on every broker as it happens, until Ctrl-C.

    Workers tell of tasks when they run with -E, or after `yard control enable_events`; of themselves they always do.
    A broker that is out of reach is named, and looked for again; when it is still lost at the end, the exit code is 3.

    \b
    Examples:
      yard events
      yard events --type task-failed --type task-retried
      yard events --json --for 60 | jq 'select(.hostname == "email.bulk@host")'
    """
    from services.core.cli.event_lines import print_events

    raise typer.Exit(print_events(kind or [], broker or [], limit=limit, seconds=seconds, as_json=as_json))
