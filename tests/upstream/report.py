"""What three brokers do to Celery's tests, as a table to read and as a file to keep."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.upstream.outcomes import Outcome, Outcomes
from tests.upstream.rounds import Rounds
from tests.upstream.setups import ONE, THREE


def print_report(rounds: Rounds, console: Console) -> None:
    """Print how many tests ended how, and by name those that fail over three brokers alone."""
    comparison = rounds.comparison
    table = Table(f"Celery {version('celery')}, {len(comparison.one)} tests", ONE.name, THREE.name)
    for outcome in reversed(Outcome):
        row = [count(outcomes, outcome) for outcomes in (comparison.one, comparison.three)]
        table.add_row(outcome.name.replace("_", " ").lower(), *map(str, row))
    console.print(table)
    for test in comparison.excused:
        console.print(f"Has another premise: {test}\n  {comparison.premises[test]}", markup=False, soft_wrap=True)
    for setup, tests in flaky(rounds).items():
        if tests:
            console.print(
                f"Passed at a second or third try on {setup}: {', '.join(tests)}", markup=False, soft_wrap=True
            )
    for test in comparison.regressions:
        console.print(f"Fails over three brokers alone: {test}", style="bold red", markup=False, soft_wrap=True)
    console.print(f"Regressions: {len(comparison.regressions)}")


def save_report(rounds: Rounds, file: Path) -> None:
    """Save every outcome as JSON."""
    comparison = rounds.comparison
    report = {
        "celery": version("celery"),
        "regressions": comparison.regressions,
        "excused": {test: comparison.premises[test] for test in comparison.excused},
        "flaky": flaky(rounds),
        "outcomes": {
            test: {ONE.name: outcome.name.lower(), THREE.name: comparison.three[test].name.lower()}
            for test, outcome in comparison.one.items()
        },
    }
    file.write_text(json.dumps(report, indent=1) + "\n")


def count(outcomes: Outcomes, outcome: Outcome) -> int:
    """Count the tests that ended in one way."""
    return list(outcomes.values()).count(outcome)


def flaky(rounds: Rounds) -> dict[str, list[str]]:
    """Return the tests of each set-up that failed at first and passed later."""
    at_last = {ONE: rounds.comparison.one, THREE: rounds.comparison.three}
    return {
        setup.name: [test for test, outcome in tries[0].items() if outcome < at_last[setup][test]]
        for setup, tries in rounds.tries.items()
    }
