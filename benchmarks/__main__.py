"""``python -m benchmarks``: measure the fleet beside its peers, and write ``docs/performance.md``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from benchmarks import report, results
from benchmarks.bench import Bench
from benchmarks.comparisons import COMPARISONS
from benchmarks.machine import describe
from benchmarks.processes import ARQ, PEERS
from benchmarks.servers import Servers, folder_in_memory

ROUNDS = 3


def main() -> int:
    """Measure what was asked for; return 0 when all of it was measured."""
    asked = _parse()
    if asked.report:
        report.write(results.load(results.QUICK_FILE if asked.quick else results.FILE), _page(quick=asked.quick))
        return 0
    if not all((folder / "python").exists() for folder in (PEERS, ARQ)):
        sys.exit("The peers have no environment yet: run benchmarks/peers/install.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it ends its processes, too
    try:
        failures = _measure(asked.only or list(COMPARISONS), asked.rounds, quick=asked.quick)
    except KeyboardInterrupt:
        print("\nInterrupted; what was measured before is kept.")
        return 130
    for failure in failures:
        print(failure)
    return int(bool(failures))


def _measure(names: list[str], rounds: int, *, quick: bool) -> list[str]:
    began, failures = time.monotonic(), []
    file = results.QUICK_FILE if quick else results.FILE
    with folder_in_memory() as folder, Servers(folder) as servers:
        known = results.load(file)
        known.machine = describe(servers)
        bench = Bench(servers, rounds, quick, lambda line: print(line, flush=True))
        for name in names:
            failures += _compare(name, bench, known)
            results.store(known, file)
            print(f"{name} ended after {(time.monotonic() - began) / 60:.1f} minutes\n", flush=True)
    report.write(known, _page(quick=quick))
    return failures


def _compare(name: str, bench: Bench, known: results.Results) -> list[str]:
    """Make one comparison, and return what failed of it; whatever fails, the others are made."""
    known.failed.pop(name, None)
    failures = []
    try:
        for series in COMPARISONS[name](bench):
            known.keep(series)
            failures += [f"{series.key}: {each.name}: {each.failed}" for each in series.found if each.failed]
    except Exception as error:  # noqa: BLE001 - the page says so
        known.failed[name] = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        failures.append(f"{name}: {known.failed[name]}")
    return failures


def _page(*, quick: bool) -> Path:
    return results.QUICK_FILE.with_name("performance.md") if quick else report.PAGE


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each way is measured ({ROUNDS})")
    parser.add_argument(
        "--only", action="append", choices=list(COMPARISONS), metavar="NAME", help=f"one of: {', '.join(COMPARISONS)}"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, to see that it runs; kept apart")
    parser.add_argument("--report", action="store_true", help="write docs/performance.md from what was measured before")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
