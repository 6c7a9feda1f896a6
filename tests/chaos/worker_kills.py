"""Of four workers under load one is killed each second, parent and children, and replaced at once.

The only one that works at the time is spared.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.contenders import SWITCHYARD, Contender
from tests.chaos.report import Report, Tell
from tests.chaos.scenario import Scenario
from tests.chaos.setup import Setup

WORKERS = 4
TASK_SECONDS = 0.005
BACKLOG = 400
"""Tasks that wait at any time while workers are killed, so that a kill finds its victim at work."""
RECENT = 4 * BACKLOG
"""Among so many of the latest it is counted what waits: what was lost before does not wait."""
BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Kills:
    """How long the scenario is."""

    kills: int
    tasks: int
    """At least so many; more are published when they run out before the kills do."""
    every: float = 1.0
    """Seconds between two kills."""
    seed: int = 7


class WorkerKills(Scenario):
    """One run of the scenario.

    Args:
        amount: How long it is; the others are as for ``Scenario``.
    """

    def __init__(
        self,
        name: str,
        setup: Setup,
        logs: Path,
        amount: Kills,
        *,
        contender: Contender = SWITCHYARD,
        tell: Tell = lambda _: None,
    ) -> None:
        super().__init__(name, setup, logs, contender=contender, tell=tell)
        self._amount = amount
        self._publisher = contender.publisher(setup)
        self._random = random.Random(amount.seed)
        self._published: list[str] = []

    def run(self) -> Report:
        """Publish, kill, wait for the rest, and count; nothing is left running."""
        with ExitStack() as stack:
            stack.callback(self._publisher.close)
            stack.enter_context(self._contender.beside(self._setup, self._logs))
            stack.enter_context(self._crew)
            self._feed()
            for _ in range(WORKERS):
                self._crew.add()
            self._kill_and_feed()
            self._drain(self._published, self._attend)
            self._crew.stop()
            self._records.read()
        report = self._count(self._published, self._crew.kills)
        report.more |= self._contender.findings(self._setup, self._records.ended)
        return report

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
        while sum(task not in self._records.ended for task in self._published[-RECENT:]) < BACKLOG:
            self._published += self._publisher.publish(BATCH, TASK_SECONDS)

    def _attend(self) -> None:
        self._crew.replace_dead()
        self._show(len(self._crew.kills))

    def _show(self, killed: int) -> None:
        ended, published = len(self._records.ended), len(self._published)
        self._tell(f"{self._name}: {killed}/{self._amount.kills} kills, {ended:,} of {published:,} tasks executed")
