"""What the fleet's own doings cost: a hundred thousand delayed tasks, and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks import metrics
from benchmarks.bench import Bench
from benchmarks.comparisons.draining import drained
from benchmarks.contenders import in_pool
from benchmarks.harness import Kind, Series, Way
from benchmarks.processes import PROJECT
from benchmarks.servers import REDIS, Servers

DELAYED = 100_000
FILL_SECONDS = 120.0


def costs(bench: Bench) -> Iterator[Series]:
    """Compare a fleet without and with delayed tasks that are due in an hour, then measure what metrics take."""
    number = bench.amount(DELAYED)
    who = in_pool("prefork", REDIS, ours=True)
    with Servers(bench.servers.folder / "delayed", keeps_state=True) as servers:
        programs = servers.programs(REDIS)
        programs.seconds(PROJECT, "benchmarks.fleet_app:delay", number, within=FILL_SECONDS, warm=0)
        ways = [
            Way("Switchyard, none delayed", Kind.OURS, partial(drained, bench, REDIS, who)),
            Way(
                f"Switchyard, {number:,} delayed",
                Kind.OURS,
                partial(drained, replace(bench, servers=servers), REDIS, who),
            ),
        ]
        yield bench.compare("delayed", "tasks/s", ways, more_is_better=True, amount=number)
    counted = [Way("metrics of one task, CPU", Kind.OURS, metrics.measured)]
    yield bench.compare("metrics", "µs", counted, more_is_better=False)
