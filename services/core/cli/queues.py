"""What ``yard queues`` and its acts do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

import redis
import typer
from kombu.exceptions import OperationalError

from services.core.app import app
from services.core.bootstrap import ledger
from services.core.cli import exit_codes
from services.core.cli.tables import print_table
from services.core.cli.told import NONE, UNKNOWN, agreed, instant, number, seconds, who
from services.core.fleet_view.queues import (
    QueueView,
    known_queue,
    list_queues,
    pause_queue,
    peek_queue,
    purge_queue,
    resume_queue,
)

COLUMNS = ("queue", "broker", "ready", "held", "delayed", "oldest", "workers", "by priority", "state")


def print_queues(*, as_json: bool) -> int:
    """Print how every queue stands; return the exit code, 3 when a broker or shared state could not be asked."""
    views = list_queues(app)
    if as_json:
        typer.echo(json.dumps({"queues": [asdict(view) for view in views]}, indent=2))
    else:
        print_table(COLUMNS, map(row_of, views))
    for broker in sorted({view.broker for view in views if not view.up}):
        typer.echo(f"yard: {app.brokers[broker]} can't be asked for its queues", err=True)
    known = all(view.pauses_known for view in views)
    if not known:
        typer.echo("yard: shared state can't be asked what is delayed and what is paused", err=True)
    return exit_codes.OK if known and all(view.up for view in views) else exit_codes.OUT_OF_REACH


def row_of(view: QueueView) -> tuple[str, ...]:
    """Return the cells of a queue."""
    return (
        view.name, view.broker, number(view.ready), number(view.unacknowledged), number(view.delayed),
        seconds(view.oldest_seconds) if view.ready else NONE, number(view.consumers), priorities_of(view),
        state_of(view),
    )  # fmt: skip


def priorities_of(view: QueueView) -> str:
    """Write how many messages there are of each priority, the most urgent first."""
    waiting = [(priority, count) for priority, count in view.by_priority.items() if count]
    return " ".join(f"{priority}:{count}" for priority, count in sorted(waiting, reverse=True)) or NONE


def state_of(view: QueueView) -> str:
    """Say in a word or two whether a queue is worked off."""
    if not view.up:
        return "broker down"
    if view.paused:
        return f"paused by {view.paused.by} since {instant(view.paused.at)}"
    if view.ready and view.consumers == 0:
        return "no worker"
    return "open" if view.pauses_known else UNKNOWN


def pause(names: Sequence[str]) -> int:
    """Pause queues; return the exit code.

    Raises:
        UnknownQueue: One of them does not exist; none was paused.
    """
    return _each(names, lambda name: pause_queue(app, name, who()), "is paused", "was paused before")


def resume(names: Sequence[str]) -> int:
    """Resume queues; return the exit code.

    Raises:
        UnknownQueue: One of them does not exist; none was resumed.
    """
    return _each(names, lambda name: resume_queue(app, name), "is resumed", "was not paused")


def purge(name: str, *, yes: bool, as_json: bool) -> int:
    """Remove what is ready in a queue, once somebody agreed; return the exit code.

    Raises:
        UnknownQueue: There is no such queue; nothing was removed.
    """
    known_queue(app, name)
    there = next(view for view in list_queues(app, ask_workers=False) if view.name == name)
    if not there.up:
        typer.echo(f"yard: {app.brokers[there.broker]} is out of reach; nothing was removed", err=True)
        return exit_codes.OUT_OF_REACH
    if not agreed(f"Remove {number(there.ready)} messages of {name} for good?", yes=yes):
        typer.echo(f"yard: {name} has {number(there.ready)} messages; none was removed, --yes removes them.", err=True)
        return exit_codes.REFUSED
    try:
        removed = purge_queue(app, ledger(), name)
    except OperationalError as error:
        typer.echo(f"yard: {name} was not purged: {error}", err=True)
        return exit_codes.OUT_OF_REACH
    typer.echo(json.dumps({"queue": name, "removed": removed}) if as_json else f"Removed {removed} messages of {name}.")
    return exit_codes.OK


def peek(name: str, *, limit: int, arguments: bool, as_json: bool) -> int:
    """Print what goes out next of a queue; return the exit code.

    Raises:
        UnknownQueue: There is no such queue.
        LedgerUnavailable: The history was needed, and does not answer.
    """
    try:
        found = peek_queue(app, ledger(), name, limit)
    except redis.RedisError as error:
        typer.echo(f"yard: the broker of {name} is out of reach: {type(error).__name__}", err=True)
        return exit_codes.OUT_OF_REACH
    tasks = [asdict(task) for task in found.tasks]
    if not arguments:
        tasks = [{key: value for key, value in task.items() if key not in ("args", "kwargs")} for task in tasks]
    if as_json:
        typer.echo(json.dumps({"queue": name, "source": found.source, "tasks": tasks}, indent=2))
        return exit_codes.OK
    columns = ("task", "id", "priority", "published", "eta", *(("args", "kwargs") if arguments else ()))
    rows = [
        (
            task.name or NONE, task.id, NONE if task.priority is None else str(task.priority),
            instant(task.published_at), task.eta or NONE,
            *((task.args or NONE, task.kwargs or NONE) if arguments else ()),
        )
        for task in found.tasks
    ]  # fmt: skip
    print_table(columns, rows)
    if found.source == "history":
        typer.echo(f"From the history: what was sent to {name} and not heard of since.  RabbitMQ shows nobody more.")
    return exit_codes.OK


def _each(names: Iterable[str], act: Callable[[str], bool], done: str, not_needed: str) -> int:
    wanted = [known_queue(app, name) for name in names]
    try:
        for name in wanted:
            typer.echo(f"{name} {done if act(name) else not_needed}.")
    except (redis.RedisError, OSError) as error:
        typer.echo(f"yard: shared state does not answer: {type(error).__name__}", err=True)
        return exit_codes.OUT_OF_REACH
    return exit_codes.OK
