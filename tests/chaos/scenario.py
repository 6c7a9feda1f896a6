"""What scenarios share in which the workers of somebody execute tasks: who they are, the end, and the count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.core.local.waiting import wait_while_it_moves
from tests.chaos.contenders import SWITCHYARD, Contender
from tests.chaos.kept import kept
from tests.chaos.records import Records
from tests.chaos.report import Report, Tell, report_of
from tests.chaos.setup import Setup

STUCK_SECONDS = 45.0
"""Without any execution for so long, what is not executed is lost: three times what a restart may take."""
LOOK_SECONDS = 0.1


class Scenario:
    """One run of a scenario.

    Args:
        name: What to call it.
        setup: The broker and the queue.
        logs: Folder for the logs of the workers.
        contender: Who is put to the test.
        tell: Takes a line on how far it has come.
    """

    def __init__(
        self,
        name: str,
        setup: Setup,
        logs: Path,
        *,
        contender: Contender = SWITCHYARD,
        tell: Tell = lambda _: None,
    ) -> None:
        self._name, self._setup, self._logs, self._tell = name, setup, logs, tell
        self._contender = contender
        self._crew = contender.crew(setup, logs)
        self._records = Records(setup.records)

    def _drain(self, published: Sequence[str], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until all is executed, or nothing more is."""
        wanted = set(published)

        def left() -> int:
            meanwhile()
            self._records.read()
            return len(wanted - self._records.ended)

        wait_while_it_moves(left, STUCK_SECONDS, every=LOOK_SECONDS)

    def _count(self, published: Sequence[str], kills: Mapping[str, float]) -> Report:
        """Count what became of the published, and of what was not executed that which a Redis still has."""
        report = report_of(self._name, published, self._records, kills, self._crew.deaths)
        if report.lost and self._setup.broker.startswith("redis"):
            report.held = len(kept(self._setup.broker, set(published) - self._records.ended))
        return report
