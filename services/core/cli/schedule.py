"""What ``yard schedule`` and its acts do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import redis
import typer

from services.core.app import app
from services.core.cli import exit_codes
from services.core.cli.tables import print_table
from services.core.cli.told import NONE, instant, who
from services.core.fleet_view.schedule import (
    EntryView,
    UnknownEntry,
    list_entries,
    pause_entry,
    resume_entry,
    run_entry,
)

COLUMNS = ("entry", "schedule", "task", "broker", "last run", "next run", "state")


def print_schedule(*, as_json: bool) -> int:
    """Print the entries of the schedule; return the exit code."""
    return _done(lambda: _print(list_entries(app), as_json=as_json))


def pause(name: str) -> int:
    """Pause an entry; return the exit code."""
    return _done(
        lambda: typer.echo(f"{name!r} {'is paused' if pause_entry(app, name, who()) else 'was paused before'}.")
    )


def resume(name: str) -> int:
    """Resume an entry; return the exit code."""
    return _done(lambda: _tell(name, "is resumed" if resume_entry(app, name) else "was not paused"))


def run(name: str, *, as_json: bool) -> int:
    """Publish the task of an entry now; return the exit code.

    Raises:
        PublishFailed: Its broker did not take it.
    """

    def publish() -> None:
        task_id = run_entry(app, name)
        typer.echo(json.dumps({"entry": name, "task_id": task_id}) if as_json else f"Published as {task_id}.")

    return _done(publish)


def _tell(name: str, what: str) -> None:
    typer.echo(f"{name!r} {what}.")


def _print(entries: list[EntryView], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"entries": [asdict(entry) for entry in entries]}, indent=2, default=_plain))
        return
    print_table(COLUMNS, map(_row, entries))


def _row(entry: EntryView) -> tuple[str, ...]:
    paused = f"paused by {entry.paused.by} since {instant(entry.paused.at)}" if entry.paused else "open"
    following = NONE if entry.paused else instant(entry.next_run)
    return (
        entry.name, entry.schedule, entry.task, entry.broker or NONE, instant(entry.last_run), following, paused
    )  # fmt: skip


def _plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _done(act: Callable[[], None]) -> int:
    try:
        act()
    except UnknownEntry as error:
        typer.echo(f"yard: {error}", err=True)
        return exit_codes.REFUSED
    except (redis.RedisError, OSError) as error:
        typer.echo(f"yard: shared state does not answer: {type(error).__name__}", err=True)
        return exit_codes.OUT_OF_REACH
    return exit_codes.OK
