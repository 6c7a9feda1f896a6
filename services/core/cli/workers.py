"""What ``yard workers`` and its acts do."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

import typer

from services.core.app import app
from services.core.cli import exit_codes
from services.core.cli.tables import print_table
from services.core.cli.told import NONE, mebibytes, seconds
from services.core.fleet_view.queues import known_queue
from services.core.fleet_view.workers import (
    UnknownWorker,
    Workers,
    WorkerView,
    drain_worker,
    list_workers,
    undrain_worker,
)

COLUMNS = ("worker", "broker", "queues", "pool", "runs", "holds", "done", "memory", "up")


def print_workers(*, timeout: float, as_json: bool) -> int:
    """Print every worker that answers and what it runs; return the exit code."""
    found = list_workers(app, timeout=timeout)
    if as_json:
        told = {"workers": [asdict(worker) for worker in found.workers], "not_asked": dict(found.not_asked)}
        typer.echo(json.dumps(told, indent=2))
    else:
        print_table(COLUMNS, map(row_of, found.workers))
        running = [row for worker in found.workers for row in running_rows(worker)]
        if running:
            typer.echo()
            print_table(("worker", "task", "id", "queue", "for"), running)
    return _complain(found, timeout)


def row_of(worker: WorkerView) -> tuple[str, ...]:
    """Return the cells of a worker."""
    return (
        worker.name, worker.broker, ", ".join(worker.queues) or "none", worker.pool or NONE,
        f"{len(worker.running)}/{worker.processes or '?'}", str(worker.reserved), f"{worker.done:,}",
        mebibytes(worker.memory_kib), seconds(worker.up_seconds),
    )  # fmt: skip


def running_rows(worker: WorkerView) -> list[tuple[str, ...]]:
    """Return the cells of what a worker runs, without arguments."""
    now = time.time()
    return [
        (worker.name, task.name, task.id, task.queue or NONE, seconds(now - task.since) if task.since else NONE)
        for task in worker.running
    ]


def drain(name: str, *, timeout: float) -> int:
    """Drain a worker; return the exit code."""
    try:
        worker = drain_worker(app, name, timeout=timeout)
    except UnknownWorker as error:
        return _unknown(error)
    left = " ".join(worker.queues)
    typer.echo(f"{worker.name} takes nothing more; {len(worker.running)} tasks run there.")
    if left:
        typer.echo(f"Take it up again: yard workers undrain {worker.name} {left}")
    return exit_codes.OK


def undrain(name: str, queues: Sequence[str], *, timeout: float) -> int:
    """Have a worker serve queues again; return the exit code.

    Raises:
        UnknownQueue: One of them does not exist; nothing was changed.
    """
    wanted = [known_queue(app, queue) for queue in queues]
    try:
        worker = undrain_worker(app, name, wanted, timeout=timeout)
    except UnknownWorker as error:
        return _unknown(error)
    typer.echo(f"{worker.name} serves {', '.join(wanted)}.")
    return exit_codes.OK


def _unknown(error: UnknownWorker) -> int:
    typer.echo(f"yard: {error}", err=True)
    return exit_codes.REFUSED


def _complain(found: Workers, timeout: float) -> int:
    for alias, why in found.not_asked.items():
        typer.echo(f"yard: {app.brokers[alias]} was not asked: {why}", err=True)
    if not found.workers:
        typer.echo(f"yard: no worker answered within {timeout:g} s", err=True)
    return exit_codes.OUT_OF_REACH if found.not_asked or not found.workers else exit_codes.OK
