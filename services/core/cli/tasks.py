"""What ``yard tasks`` and its acts do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer
from kombu.exceptions import OperationalError

from services.core.app import app
from services.core.bootstrap import ledger
from services.core.cli import exit_codes
from services.core.cli.dead_letters import instant as instant_of
from services.core.cli.tables import print_table
from services.core.cli.told import NONE, instant, seconds
from services.core.fleet_view import tasks as history
from services.core.history.search import TaskFilter
from services.core.history.sightings import TIMES_TOLD, Sighting, TaskState
from services.core.ledger.errors import InvalidSubmission

COLUMNS = ("first heard of", "state", "task", "id", "queue", "worker", "ran", "why")
WITH_ARGUMENTS = ("args", "kwargs", "result")
WIDEST_WHY = 80


def task_filter(
    *,
    states: Sequence[str],
    name: str | None,
    queue: str | None,
    broker: str | None,
    worker: str | None,
    workflow: str | None,
    since: str | None,
    until: str | None,
    text: str | None,
) -> TaskFilter:
    """Return the filter of a command line.

    Raises:
        InvalidSubmission: A time or a state can't be understood.
        UnknownBroker: The fleet has no such broker.
    """
    return TaskFilter(
        states=tuple(map(state_of, states)),
        name=name,
        queue=queue,
        broker=app.brokers.find(broker).alias if broker else None,
        worker=worker,
        workflow=workflow,
        since=instant_of(since) if since else None,
        until=instant_of(until) if until else None,
        text=text,
    )


def state_of(word: str) -> TaskState:
    """Return the state that a word means.

    Raises:
        InvalidSubmission: It means none.
    """
    try:
        return TaskState(word)
    except ValueError:
        known = ", ".join(TaskState)
        raise InvalidSubmission(f"No task is ever {word!r}; its state is one of {known}.") from None


def print_tasks(which: TaskFilter, *, cursor: str | None, limit: int, as_json: bool) -> int:
    """Print a line for each task; return the exit code.

    Raises:
        LedgerUnavailable: The history does not answer.
    """
    page, status = history.list_tasks(ledger(), which, cursor=cursor, limit=limit), history.status_of_history(ledger())
    if as_json:
        told = {"tasks": [as_plain(task) for task in page.tasks], "after": page.after, "recorded": status.at_work}
        typer.echo(json.dumps(told, indent=2))
        return exit_codes.OK
    print_table(COLUMNS, [_row(task) for task in page.tasks])
    if page.after:
        typer.echo(f"More with --after {page.after}")
    if not status.at_work:
        typer.echo("yard: no recorder is at work, so that nothing new gets here; start `yard recorder`.", err=True)
    if status.dropped:
        typer.echo(f"yard: {status.dropped} tasks are missing; recorders had no room for them.", err=True)
    return exit_codes.OK


def print_task(task_id: str, *, arguments: bool, as_json: bool) -> int:
    """Print what is known of a task; arguments and result only if they are asked for; return the exit code.

    Raises:
        UnknownId: Nobody told of it, or too long ago.
        LedgerUnavailable: The history does not answer.
    """
    task = history.the_task(ledger(), task_id)
    told = as_plain(task, arguments=arguments)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return exit_codes.OK
    traceback = told.pop("traceback")
    rows = [
        (key.replace("_", " "), instant(value) if key in TIMES_TOLD else _cell(value))
        for key, value in told.items()
        if value is not None
    ]
    print_table(("", ""), rows)
    if traceback:
        typer.echo(f"\n{traceback.rstrip()}")
    return exit_codes.OK


def revoke(ids: Sequence[str], *, terminate: bool) -> int:
    """Revoke tasks; return the exit code."""
    try:
        history.revoke_tasks(app, ids, terminate=terminate)
    except OperationalError as error:
        typer.echo(f"yard: {error}", err=True)
        return exit_codes.OUT_OF_REACH
    typer.echo(f"Revoked {len(ids)} tasks.")
    return exit_codes.OK


def as_plain(task: Sighting, *, arguments: bool = False) -> dict[str, Any]:
    """Return a task as JSON can say it; times are seconds since the epoch."""
    left_out = () if arguments else WITH_ARGUMENTS
    return {key: value for key, value in asdict(task).items() if key not in left_out}


def _row(task: Sighting) -> tuple[str, ...]:
    why = " ".join((task.exception or "").split())
    return (
        instant(task.first_at), str(task.state), task.name or NONE, task.id, task.queue or NONE, task.worker or NONE,
        seconds(task.seconds), why if len(why) <= WIDEST_WHY else f"{why[: WIDEST_WHY - 1]}…",
    )  # fmt: skip


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
