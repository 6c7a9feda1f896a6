"""What a scenario shows: counts, times, and whether they are what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.records import Records, restarts

RESTART_WITHIN_SECONDS = 15.0


@dataclass
class Report:
    """The outcome of one scenario."""

    name: str
    published: int = 0
    executed: int = 0
    """Tasks that were executed to their end at least once."""
    repeated: int = 0
    kills: int = 0
    waits: Sequence[float] = ()
    """Seconds from a kill to the next execution of what the killed worker held, sorted."""
    deaths: Sequence[str] = ()
    """Workers that ended by themselves."""
    more: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    """Promises that did not hold."""

    @property
    def lost(self) -> int:
        """Tasks that were published and never executed."""
        return self.published - self.executed

    def check(self) -> Report:
        """Note which of the promises that hold in every scenario did not."""
        if self.lost:
            self.broken.append(f"{self.lost} tasks were lost")
        if self.deaths:
            self.broken.append(f"{len(self.deaths)} workers ended by themselves")
        if self.waits and percentile(self.waits, 99) > RESTART_WITHIN_SECONDS:
            self.broken.append(f"what was held did not start again within {RESTART_WITHIN_SECONDS:g} s")
        return self

    def lines(self) -> list[str]:
        """Return the report as text."""
        p50, p99 = (f"{percentile(self.waits, percent):.1f} s" if self.waits else "–" for percent in (50, 99))
        facts = {
            "published": f"{self.published:,}",
            "executed at least once": f"{self.executed:,}",
            "lost": f"{self.lost:,}",
            "executions repeated": f"{self.repeated:,}",
            "kills": f"{self.kills:,}",
            "held by the killed, started again": f"{len(self.waits):,}",
            "restart of what was held": f"p50 {p50}, p99 {p99}",
            "workers that died by themselves": f"{len(self.deaths)}",
            **self.more,
        }
        verdict = "✗ " + "; ".join(self.broken) if self.broken else "✓"
        return [f"{self.name}  {verdict}", *(f"  {name:36} {value}" for name, value in facts.items())]


def report_of(
    name: str, published: Sequence[str], records: Records, kills: dict[str, float], deaths: Sequence[str]
) -> Report:
    """Count what became of some published tasks."""
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
