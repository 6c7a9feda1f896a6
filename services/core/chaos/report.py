"""What a run shows: counts, faults, times, and whether what was promised held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.core.chaos.faults import Strike
from services.core.chaos.pulse import Pulse
from services.core.chaos.schedule import LASTING, Kind
from services.core.chaos.tally import Tally

LISTED = 20
"""How many of a kind the text lists; JSON has them all."""


@dataclass(slots=True)
class Report:
    """The outcome of a run."""

    name: str
    seed: int
    tally: Tally
    strikes: Sequence[Strike]
    recoveries: Sequence[float]
    """Seconds from a fault, or from the end of a lasting one, until what it hit ended work again; sorted."""
    dead_letters: int
    seconds: float
    """How long the run took, without the start and the end of the fleet."""
    slowest_receipt: float
    refused: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and no effect repeated."""
        return self.tally.holds

    @property
    def in_flight(self) -> int:
        """How many faults hit work in flight."""
        return sum(bool(strike.in_flight) for strike in self.strikes)

    def lines(self) -> Iterator[str]:
        """Give the report as text."""
        yield f"{self.name}, seed {self.seed}  {'✓' if self.holds else '✗'}"
        for name, value in self._facts().items():
            yield f"  {name:34} {value}"
        for title, items in self._lists().items():
            yield from (f"  {title}: {item}" for item in items[:LISTED])
            if len(items) > LISTED:
                yield f"  {title}: … and {len(items) - LISTED} more"
        yield from (f"  {note}" for note in self.notes)

    def as_json(self) -> dict[str, Any]:
        """Give the report as data."""
        return {
            "name": self.name,
            "seed": self.seed,
            "holds": self.holds,
            "facts": self._facts(),
            **{title.replace(" ", "_"): list(items) for title, items in self._lists().items()},
            "faults": [
                {"fault": str(strike.fault), "in_flight": strike.in_flight, "found": strike.found}
                for strike in self.strikes
            ],
            "notes": self.notes,
        }

    def _facts(self) -> dict[str, str]:
        kinds = Counter(str(strike.fault.kind) for strike in self.strikes if strike.found)
        made = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        p50, p99 = (f"{percentile(self.recoveries, at):.1f} s" if self.recoveries else "–" for at in (50, 99))
        tally = self.tally
        return {
            "accepted": f"{tally.accepted:,}",
            "done": f"{tally.done:,}",
            "failed, with a record": f"{tally.failures:,}",
            "unknown, listed": f"{len(tally.unknown):,}",
            "lost": f"{len(tally.lost):,}",
            "effects repeated": f"{len(tally.repeated):,}",
            "recorded as not done, and seen": f"{len(tally.contradicted):,}",
            "urgent mails that came again": f"{len(tally.again):,}",
            "dead letters": f"{self.dead_letters:,}",
            "faults": f"{kinds.total()} ({made})",
            "faults that hit work in flight": f"{self.in_flight}",
            "recovery": f"p50 {p50}, p99 {p99} of {len(self.recoveries)}",
            "slowest receipt": f"{self.slowest_receipt:.1f} s",
            "took": f"{self.seconds:.0f} s",
        }

    def _lists(self) -> dict[str, Sequence[str]]:
        tally = self.tally
        return {
            "lost": tally.lost,
            "repeated": tally.repeated,
            "unknown": tally.unknown,
            "contradicted": tally.contradicted,
            "again": tally.again,
            "failed": [f"{count} × {reason}" for reason, count in tally.failed.most_common()],
            "left behind": tally.left_behind,
            "refused": self.refused,
        }


def recoveries(strikes: Sequence[Strike], pulses: Mapping[str, Pulse]) -> list[float]:
    """Measure, for each fault that hit workers at work, when the last of them ended work again."""
    waits = []
    for strike in strikes:
        hit = [pulses[name] for name in strike.hit if name in pulses]
        if not hit or strike.fault.kind is Kind.KILL_CHILD:
            continue
        since = strike.over_at if strike.fault.kind in LASTING else strike.at
        again = [pulse.first_after(since) for pulse in hit]
        seen = [at for at in again if at is not None]
        if len(seen) == len(again):
            waits.append(max(seen) - since)
    return sorted(waits)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile of sorted values: the least one that so many are not above."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]
