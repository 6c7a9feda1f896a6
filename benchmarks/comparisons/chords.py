"""How long a chord takes on one Redis, and what it leaves in the memory of the workers' parents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.bench import Bench
from benchmarks.contenders import WORKERS, celery_worker
from benchmarks.facts import GROWTH
from benchmarks.harness import Kind, Measured, Series, Way
from benchmarks.processes import PEERS, PROJECT
from benchmarks.servers import REDIS, rest
from services.core.local.processes import ChildProcess

MEMBERS = 10_000
FEWER = 1_000
"""Members of the chord before, which warms everything up and after which memory is looked at first."""
WITHIN_SECONDS = 75.0


class Runner(NamedTuple):
    """A pool of two workers."""

    name: str
    kind: Kind
    pool: str
    rounds: int | None = None

    @property
    def environment(self) -> Path:
        """Its environment."""
        return PROJECT if self.kind is Kind.OURS else PEERS

    @property
    def module(self) -> str:
        """The module of its app."""
        return "benchmarks.fleet_app" if self.kind is Kind.OURS else "benchmarks.peers.celery_app"

    @property
    def queue(self) -> str:
        """The queue that its workers serve."""
        return "bench.redis" if self.kind is Kind.OURS else "bench"


PREFORK = Runner("Switchyard, prefork", Kind.OURS, "prefork")
"""The body of its chords runs in a child, so its parents hold no results."""
RUNNERS = (
    Runner("Switchyard, threads", Kind.OURS, "threads"),
    Runner("Switchyard, solo", Kind.OURS, "solo"),
    PREFORK,
    Runner("Celery, threads", Kind.STOCK, "threads"),
    Runner("Celery, solo", Kind.STOCK, "solo"),
    Runner("Celery, gevent", Kind.STOCK, "gevent", rounds=1),
    Runner("Celery, prefork", Kind.STOCK, "prefork", rounds=1),
)


def chords(bench: Bench) -> Iterator[Series]:
    """Compare the time of a chord, then the memory that was seen meanwhile."""
    number = bench.amount(MEMBERS)
    megabytes: dict[tuple[Runner, int], list[float]] = defaultdict(list)
    ways = [
        Way(each.name, each.kind, partial(_seconds, bench, each, number, megabytes), each.rounds) for each in RUNNERS
    ]
    series = bench.compare("chord", "s", ways, more_is_better=False, amount=number)
    if megabytes[PREFORK, number]:
        series.facts[GROWTH] = median(megabytes[PREFORK, number]) / median(megabytes[PREFORK, bench.amount(FEWER)])
    yield series
    yield _memory(series, megabytes)


def _memory(series: Series, megabytes: dict[tuple[Runner, int], list[float]]) -> Series:
    found = [
        Measured(f"{runner.name}, after {number:,}", runner.kind, values)
        for (runner, number), values in megabytes.items()
        if values and _ended(series, runner)
    ]
    return replace(series, key="chord-memory", unit="MB", found=found, amount=0, facts={}, beside="")


def _ended(series: Series, runner: Runner) -> bool:
    measured = series.named(runner.name)
    return measured is not None and measured.failed is None


def _seconds(bench: Bench, runner: Runner, number: int, megabytes: dict[tuple[Runner, int], list[float]]) -> float:
    bench.servers.empty(REDIS)
    rest()
    programs, fewer = bench.servers.programs(REDIS), bench.amount(FEWER)
    target = f"{runner.module}:run_chord"
    commands = [
        celery_worker(runner.environment, runner.module, runner.queue, runner.pool, each) for each in range(WORKERS)
    ]
    with programs.running(*commands) as workers:
        programs.seconds(runner.environment, target, fewer, within=WITHIN_SECONDS, warm=0)
        before = _most_megabytes(workers)
        took = programs.seconds(runner.environment, target, number, within=WITHIN_SECONDS)
        megabytes[runner, fewer].append(before)
        megabytes[runner, number].append(_most_megabytes(workers))
    return took


def _most_megabytes(workers: list[ChildProcess]) -> float:
    """Return what the larger of the workers' parents holds."""
    return max(psutil.Process(worker.pid).memory_info().rss for worker in workers) / 1e6
