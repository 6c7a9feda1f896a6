"""Rounds of Celery's tests on both set-ups at once; who fails gets another try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.core.local.waiting import wait_until
from tests.upstream.outcomes import Comparison, Outcome, best, failures
from tests.upstream.premises import PREMISES
from tests.upstream.runs import TestRun
from tests.upstream.setups import ONE, THREE, SetUp

ROUND_SECONDS = 3600.0


class Rounds:
    """The rounds so far.

    Args:
        runs: Some runs of each set-up, each with servers of its own; they share the set-up's tests.
    """

    def __init__(self, runs: Mapping[SetUp, Sequence[TestRun]]) -> None:
        self._runs = runs
        self.tries: dict[SetUp, list[dict[str, Outcome]]] = {setup: [] for setup in runs}

    def play(self, options: Sequence[str] = ()) -> Comparison:
        """Run all tests, then those that failed, then once more those that fail over three brokers alone.

        Args:
            options: What pytest takes, to choose some of the tests: ``-k revoked``.
        """
        tests = self._find(options)
        self._run({ONE: tests, THREE: tests})
        self._run({setup: failures(tries[0]) for setup, tries in self.tries.items()})
        self._run({THREE: self.comparison.regressions})
        return self.comparison

    @property
    def comparison(self) -> Comparison:
        """What the rounds so far say."""
        return Comparison(best(self.tries[ONE]), best(self.tries[THREE]), PREMISES)

    def _find(self, options: Sequence[str]) -> list[str]:
        run = self._runs[ONE][0]
        run.start(options=["--collect-only", *options])
        wait_until(lambda: not run.running, ROUND_SECONDS)
        return list(run.outcomes())

    def _run(self, chosen: Mapping[SetUp, Sequence[str]]) -> None:
        started = {setup: self._start(setup, tests) for setup, tests in chosen.items() if tests}
        with progress_bars() as bars:
            rows = {setup: bars.add_task(setup.name, total=len(chosen[setup])) for setup in started}

            def ended() -> bool:
                for setup, runs in started.items():
                    bars.update(rows[setup], completed=sum(map(tests_done, runs)))
                return not any(run.running for runs in started.values() for run in runs)

            wait_until(ended, ROUND_SECONDS)
        for setup, runs in started.items():
            self.tries[setup].append({test: outcome for run in runs for test, outcome in run.outcomes().items()})

    def _start(self, setup: SetUp, tests: Sequence[str]) -> list[TestRun]:
        runs = self._runs[setup][: len(tests)]
        for number, run in enumerate(runs):
            run.start(tests[number :: len(runs)])
        return list(runs)


def tests_done(run: TestRun) -> int:
    """Count the tests that have ended."""
    return sum(outcome is not Outcome.NOT_RUN for outcome in run.outcomes().values())


def progress_bars() -> Progress:
    """Show how many tests have ended, and how long it has taken."""
    columns = (TextColumn("{task.description:14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, refresh_per_second=1)
