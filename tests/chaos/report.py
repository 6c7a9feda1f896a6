"""What a scenario shows: counts, times, and whether they are what was promised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.records import Records, restarts

RESTART_WITHIN_SECONDS = 15.0

Tell = Callable[[str], None]
"""Takes a line on how far a scenario has come."""


@dataclass
class Outcome:
    """What one scenario has shown."""

    name: str
    more: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    """Promises that did not hold."""
    deaths: Sequence[str] = ()
    """Workers that ended by themselves."""
    promised: bool = True
    """Whether promises were made for what was put to the test; else there is nothing to confirm."""

    @property
    def facts(self) -> dict[str, str]:
        """What was counted, by its name."""
        return self.more

    def lines(self) -> list[str]:
        """Return the outcome as text."""
        verdict = "✗ " + "; ".join(self.broken) if self.broken else "✓" * self.promised
        return [f"{self.name}  {verdict}", *(f"  {name:36} {value}" for name, value in self.facts.items())]


@dataclass(kw_only=True)
class Report(Outcome):
    """What one scenario has shown in which tasks are published and executed."""

    published: int = 0
    executed: int = 0
    """Tasks that were executed to their end at least once."""
    held: int | None = None
    """Tasks that were not, and of which the broker still has a message: they are late, and may yet be executed."""
    repeated: int = 0
    kills: int = 0
    waits: Sequence[float] = ()
    """Seconds from a kill to the next execution of what the killed worker held, sorted."""

    @property
    def lost(self) -> int:
        """Tasks that were published and never executed."""
        return self.published - self.executed

    @property
    def gone(self) -> int:
        """Tasks that will never be executed, as far as is known."""
        return self.lost - (self.held or 0)

    def check(self) -> Report:
        """Note which of the promises that hold in every scenario did not."""
        if self.lost:
            self.broken.append(f"{self.lost} tasks were lost")
        if self.deaths:
            self.broken.append(f"{len(self.deaths)} workers ended by themselves")
        if self.waits and percentile(self.waits, 99) > RESTART_WITHIN_SECONDS:
            self.broken.append(f"what was held did not start again within {RESTART_WITHIN_SECONDS:g} s")
        return self

    @property
    def facts(self) -> dict[str, str]:
        """What was counted, by its name."""
        p50, p99 = (f"{percentile(self.waits, percent):.1f} s" if self.waits else "–" for percent in (50, 99))
        return {
            "published": f"{self.published:,}",
            "executed at least once": f"{self.executed:,}",
            "not executed": f"{self.lost:,}",
            **({} if self.held is None else {"of these, gone for good": f"{self.gone:,}"}),
            "executions repeated": f"{self.repeated:,}",
            "kills": f"{self.kills:,}",
            "held by the killed, started again": f"{len(self.waits):,}",
            "restart of what was held": f"p50 {p50}, p99 {p99}",
            "workers that died by themselves": f"{len(self.deaths)}",
            **self.more,
        }


def report_of(
    name: str, published: Sequence[str], records: Records, kills: Mapping[str, float], deaths: Sequence[str]
) -> Report:
    """Count what became of some published tasks, but for what a broker still has of them."""
    mine = {task: records.events[task] for task in published}
    return Report(
        name,
        published=len(published),
        executed=sum(task in records.ended for task in published),
        repeated=records.repeated(published),
        kills=len(kills),
        waits=restarts(mine, kills),
        deaths=deaths,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile of sorted values: the least one that so many are not above."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]
