"""One run of comparisons: its servers, its rounds, and how much of the work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.harness import Series, Way, interleave
from benchmarks.servers import Servers

QUICK = 10
"""A quick run does a tenth of the work."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a comparison is given.

    Args:
        servers: Where everybody's messages go.
        rounds: How often each way is measured.
        quick: Whether less work will do, to see that all of it runs.
        tell: Is told how far it is.
    """

    servers: Servers
    rounds: int
    quick: bool
    tell: Callable[[str], object]

    def amount(self, full: int, least: int = 1) -> int:
        """Return how much work is done where ``full`` is the whole of it."""
        return max(least, full // QUICK) if self.quick else full

    def compare(
        self,
        key: str,
        unit: str,
        ways: Sequence[Way],
        *,
        more_is_better: bool,
        amount: int = 0,
        rounds: int | None = None,
    ) -> Series:
        """Measure ways in turn.

        Args:
            key: How the series is known.
            unit: Of the values.
            ways: What is compared.
            more_is_better: Whether they are rates; else they are times or sizes.
            amount: How much work a round is.
            rounds: When they are fewer than those of the run.
        """
        wanted = min(self.rounds, rounds or self.rounds)
        self.tell(f"{key}: {len(ways)} ways, {wanted} rounds, {unit}")
        return Series(
            key=key,
            unit=unit,
            more_is_better=more_is_better,
            found=interleave(ways, wanted, self.tell),
            amount=amount,
            rounds=wanted,
            quick=self.quick,
            taken=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        )
