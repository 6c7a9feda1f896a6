"""Of four workers under load one is killed each second, parent and children, and replaced at once.

The only one that works at the time is spared.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.app import fleet
from tests.chaos.records import Records
from tests.chaos.report import Report, report_of
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.stock import stock
from tests.chaos.tasks import WORK
from tests.chaos.workers import FLEET, STOCK, Crew

WORKERS = 4
TASK_SECONDS = 0.005
BACKLOG = 400
"""Tasks that wait at any time while workers are killed, so that a kill finds its victim at work."""
BATCH = 100
STUCK_SECONDS = 45.0
"""Without any execution for so long, what is not executed is lost: three times what a restart may take."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kills:
    """How long the scenario is."""

    kills: int
    tasks: int
    """At least so many; more are published when they run out before the kills do."""
    every: float = 1.0
    """Seconds between two kills."""
    seed: int = 7


class WorkerKills:
    """One run of the scenario.

    Args:
        name: What to call it.
        setup: The broker and the queue.
        logs: Folder for the logs of the workers.
        amount: How long it is.
        plain: Whether stock Celery is put to the test in the place of a fleet.
        tell: Takes a line on how far it has come.
    """

    def __init__(
        self, name: str, setup: Setup, logs: Path, amount: Kills, *, plain: bool = False, tell: Tell = lambda _: None
    ) -> None:
        self._name, self._amount, self._tell = name, amount, tell
        self._app: Any = stock(setup) if plain else fleet(setup)
        self._crew = Crew(STOCK if plain else FLEET, setup, logs)
        self._records = Records(setup.records)
        self._random = random.Random(amount.seed)
        self._published: list[str] = []

    def run(self) -> Report:
        """Publish, kill, wait for the rest, and count; nothing is left running."""
        with ExitStack() as stack:
            stack.callback(self._app.close)
            stack.enter_context(self._crew)
            self._feed()
            for _ in range(WORKERS):
                self._crew.add()
            self._kill_and_feed()
            self._drain()
            self._crew.stop()
            self._records.read()
        return report_of(self._name, self._published, self._records, self._crew.kills, self._crew.deaths)

    def _kill_and_feed(self) -> None:
        due = time.monotonic()
        killed = 0
        while killed < self._amount.kills or len(self._published) < self._amount.tasks:
            self._feed()
            self._crew.replace_dead()
            ready = sorted(self._records.seen & self._crew.workers.keys())
            survives = len(ready) > 1  # where nobody is left nothing starts again, and a busy machine starts slowly
            if killed < self._amount.kills and survives and time.monotonic() >= due:
                self._crew.kill(self._random.choice(ready))
                self._crew.add()
                killed += 1
                due = max(due + self._amount.every, time.monotonic())
                self._show(killed)
            time.sleep(0.01)

    def _feed(self) -> None:
        """Publish so much that workers find a backlog."""
        self._records.read()
        while len(self._published) - len(self._records.ended) < BACKLOG:
            for _ in range(BATCH):
                self._published.append(self._app.send_task(WORK, (TASK_SECONDS,), queue=QUEUE, ignore_result=True).id)

    def _drain(self) -> None:
        done, since = -1, time.monotonic()
        while len(self._records.ended) < len(self._published) and time.monotonic() - since < STUCK_SECONDS:
            self._crew.replace_dead()
            self._records.read()
            if len(self._records.ended) != done:
                done, since = len(self._records.ended), time.monotonic()
            self._show(len(self._crew.kills))
            time.sleep(0.1)

    def _show(self, killed: int) -> None:
        ended, published = len(self._records.ended), len(self._published)
        self._tell(f"{self._name}: {killed}/{self._amount.kills} kills, {ended:,} of {published:,} tasks executed")
