"""Compares how Celery's own tests end on one broker and over three; ends with 0 when three brokers do no worse."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from services.core.local.private_files import private_folder
from shared.errors import FleetError
from tests.upstream.report import print_report, save_report
from tests.upstream.rounds import Rounds
from tests.upstream.runs import TestRun
from tests.upstream.setups import ONE, THREE, SetUp
from tests.upstream.source import ROOT, SourceUnavailable, celery_tests

FOLDER = ROOT / "var" / "upstream"
LOGS = FOLDER / "logs"
PARTS = 3
"""Runs of each set-up side by side: the tests spend their time waiting."""


def main(options: Sequence[str]) -> int:
    """Run the tests on both set-ups, print and save the report, and leave nothing running.

    Args:
        options: What pytest takes, to choose some of the tests.

    Returns:
        The exit code: 1 when a test fails over three brokers alone and nothing excuses it.
    """
    shutil.rmtree(LOGS, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    source = celery_tests(FOLDER)
    with ExitStack() as stack:
        console.print(f"Starting the servers; logs are in {LOGS}")
        rounds = Rounds({setup: runs_on(setup, source, stack) for setup in (ONE, THREE)})
        comparison = rounds.play(options)
        save_report(rounds, FOLDER / "report.json")
        print_report(rounds, console)
    return 1 if comparison.regressions else 0


def runs_on(setup: SetUp, source: Path, stack: ExitStack) -> list[TestRun]:
    """Start the servers for every part of the tests on a set-up."""
    runs = []
    for part in range(1, PARTS + 1):
        logs = private_folder(LOGS / f"{setup.name.replace(' ', '-')}-{part}")
        runs.append(TestRun(setup, source, logs, stack.enter_context(setup.servers(source, logs))))
        stack.callback(runs[-1].stop)
    return runs


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (SourceUnavailable, FleetError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
