"""How tests ended, and what that says about three brokers when one broker is the base line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum


class Outcome(IntEnum):
    """How a test ended, from bad to good."""

    NOT_RUN = 0
    FAILED = 1
    SKIPPED = 2
    EXPECTED_FAILURE = 3
    PASSED = 4


Outcomes = Mapping[str, Outcome]
"""By test id."""


def failures(outcomes: Outcomes) -> list[str]:
    """Return the tests that failed, or never ran."""
    return [test for test, outcome in outcomes.items() if outcome <= Outcome.FAILED]


def best(tries: Iterable[Outcomes]) -> dict[str, Outcome]:
    """Return the best outcome of each test over some tries: one that passes at times is flaky, not broken."""
    together: dict[str, Outcome] = {}
    for outcomes in tries:
        for test, outcome in outcomes.items():
            together[test] = max(outcome, together.get(test, Outcome.NOT_RUN))
    return together


@dataclass(frozen=True)
class Comparison:
    """The outcomes of the same tests on one broker and over three, and the tests whose premise is one worker."""

    one: Outcomes
    three: Outcomes
    premises: Mapping[str, str]

    @property
    def worse(self) -> list[str]:
        """The tests that do not fail on one broker and do over three."""
        broken = failures(self.one)
        return [test for test in failures(self.three) if test not in broken]

    @property
    def excused(self) -> list[str]:
        """Those of the worse ones that can only pass with a single worker on a single broker."""
        return [test for test in self.worse if test in self.premises]

    @property
    def regressions(self) -> list[str]:
        """Those of the worse ones that nothing excuses."""
        return [test for test in self.worse if test not in self.premises]
