"""What ``yard top`` shows, and the keys that it knows."""

from __future__ import annotations

import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from services.core.app import app
from services.core.bootstrap import ledger
from services.core.cli import exit_codes
from services.core.cli.queues import COLUMNS, row_of, state_of
from services.core.cli.tables import print_table, printable
from services.core.cli.told import number, seconds
from services.core.cli.workers import running_rows
from services.core.fleet_view.queues import QueueView, list_queues
from services.core.fleet_view.tasks import list_tasks
from services.core.fleet_view.workers import Workers, list_workers
from services.core.history.search import TaskFilter
from services.core.history.sightings import Sighting, TaskState
from services.core.ledger.errors import LedgerError

COLOURS = {"broker down": "red", "no worker": "red", "paused": "yellow"}
KEY_SECONDS = 0.1
FAILURES = 5
QUIT = ("q", "Q", "\x03")


@dataclass(frozen=True, slots=True)
class Look:
    """What the fleet looks like at one moment."""

    at: float
    queues: list[QueueView]
    workers: Workers
    failures: list[Sighting] | None
    """The last failures; ``None`` when the history does not answer."""


def look() -> Look:
    """Ask brokers, workers and the history, all at once."""
    with ThreadPoolExecutor(3) as pool:
        queues, workers = pool.submit(list_queues, app), pool.submit(list_workers, app)
        failures = pool.submit(_failures)
        return Look(time.time(), queues.result(), workers.result(), failures.result())


def watch(*, every: float, once: bool) -> int:
    """Show the fleet until somebody quits, or once where nobody watches; return the exit code."""
    if once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _print_once(look())
    screen, looks, ended = Console(), SimpleQueue[Look](), Event()
    Thread(target=_keep_looking, args=(looks, every, ended), name="look", daemon=True).start()
    with _keys() as pressed, Live(Text("asking the fleet …"), console=screen, screen=True, auto_refresh=False) as live:
        while not pressed():
            with suppress(Empty):
                live.update(picture(looks.get_nowait(), screen.height, screen.width), refresh=True)
    ended.set()
    return exit_codes.OK


def picture(seen: Look, height: int, width: int) -> Group:
    """Draw what was seen so that it fits on a screen: queues first, then what runs, then failures as room is left."""
    queues = _table(("queue", "ready", "held", "delayed", "oldest", "workers", "state"), width)
    for view in seen.queues:
        word = state_of(view)
        colour = next((colour for start, colour in COLOURS.items() if word.startswith(start)), "")
        queues.add_row(
            view.name, number(view.ready), number(view.unacknowledged), number(view.delayed),
            seconds(view.oldest_seconds) if view.ready else "–", number(view.consumers),
            Text(word.partition(" since")[0], style=colour),
        )  # fmt: skip
    room = max(0, height - len(seen.queues) - 7)
    running = [row for worker in seen.workers.workers for row in running_rows(worker)]
    failures = [_failure(task) for task in seen.failures or ()][: max(0, min(FAILURES, room - len(running)))]
    parts: list[Text | Table] = [_headline(seen), queues, Text(f"\nrunning: {len(running)}", style="bold")]
    tasks = _table(("worker", "task", "id", "queue", "for"), width)
    for row in running[: max(0, room - len(failures))]:
        tasks.add_row(row[0], row[1], row[2][:8], *row[3:])
    parts.append(tasks if running else Text("nothing runs", style="dim"))
    return Group(*parts, *failures, Text("q quits", style="dim"))


def _headline(seen: Look) -> Text:
    brokers = {view.broker: view.up for view in seen.queues}
    line = Text(f"yard top  {time.strftime('%T', time.localtime(seen.at))}  ", style="bold")
    for alias, up in brokers.items():
        line.append(f"{alias} {'up' if up else 'down'}  ", style="green" if up else "bold red")
    line.append(f"{len(seen.workers.workers)} workers")
    return line


def _table(columns: tuple[str, ...], width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), width=width)
    for position, column in enumerate(columns):
        table.add_column(column, header_style="dim", no_wrap=True, overflow="ellipsis", ratio=2 if not position else 1)
    return table


def _failure(task: Sighting) -> Text:
    why = " ".join((task.exception or "").split())
    line = printable(f"✗ {task.name or 'unknown task'} {task.id[:8]} {why}")
    line.stylize("red")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _print_once(seen: Look) -> int:
    print_table(COLUMNS, map(row_of, seen.queues))
    running = [row for worker in seen.workers.workers for row in running_rows(worker)]
    typer.echo()
    print_table(("worker", "task", "id", "queue", "for"), running)
    if not all(view.up for view in seen.queues):
        return exit_codes.OUT_OF_REACH
    return exit_codes.OK


def _keep_looking(looks: SimpleQueue[Look], every: float, ended: Event) -> None:
    """Look again and again, in a thread: the keys answer at once, also while a broker does not."""
    while not ended.is_set():
        looks.put(look())
        ended.wait(every)


def _failures() -> list[Sighting] | None:
    file = ledger().file
    if file is not None and not file.exists():
        return None  # SQLite would make an empty one
    try:
        return list_tasks(ledger(), TaskFilter(states=(TaskState.FAILED,)), limit=FAILURES).tasks
    except LedgerError:
        return None


@contextmanager
def _keys() -> Iterator[Callable[[], bool]]:
    """Give what tells whether somebody pressed a key to quit; it waits a moment for one."""
    stream = sys.stdin.fileno()
    before = termios.tcgetattr(stream)
    tty.setcbreak(stream)

    def pressed() -> bool:
        readable, _, _ = select.select([stream], [], [], KEY_SECONDS)
        return bool(readable) and sys.stdin.read(1) in QUIT

    try:
        yield pressed
    finally:
        with suppress(termios.error):
            termios.tcsetattr(stream, termios.TCSADRAIN, before)
