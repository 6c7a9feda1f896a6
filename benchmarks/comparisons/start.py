"""What a worker holds in memory, and how soon it works."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.bench import Bench
from benchmarks.contenders import celery_worker
from benchmarks.harness import Failed, Kind, Series, Way
from benchmarks.processes import PEERS, PROJECT, ROOT, wait_for
from benchmarks.servers import REDIS, rest
from services.core.local.processes import ChildProcess
from shared.settings import child_environment

WITHIN_SECONDS = 60.0
TASKS = 200
"""All children have done some by then."""
SETTLE_SECONDS = 1.0
HELP_ROUNDS = 5


class Worker(NamedTuple):
    """One worker of a pool."""

    name: str
    kind: Kind
    pool: str
    environment: Path
    module: str
    queue: str
    fill: str


def _worker(pool: str, *, ours: bool) -> Worker:
    if ours:
        module = "benchmarks.fleet_app"
        return Worker(f"Switchyard, {pool}", Kind.OURS, pool, PROJECT, module, "bench.redis", f"{module}:publish_redis")
    module = "benchmarks.peers.celery_app"
    return Worker(f"Celery, {pool}", Kind.STOCK, pool, PEERS, module, "bench", f"{module}:publish")


PREFORK = tuple(_worker("prefork", ours=ours) for ours in (True, False))
THREADS = tuple(_worker("threads", ours=ours) for ours in (True, False))


def start(bench: Bench) -> Iterator[Series]:
    """Compare memory, time to the first task, and time of the help."""
    memory = [Way(each.name, each.kind, partial(_megabytes, bench, each)) for each in PREFORK]
    yield bench.compare("memory", "MB", memory, more_is_better=False)
    ready = [Way(each.name, each.kind, partial(_ready_seconds, bench, each)) for each in (*PREFORK, *THREADS)]
    yield bench.compare("ready", "s", ready, more_is_better=False)
    helps = [
        Way("yard --help", Kind.OURS, partial(_help_seconds, PROJECT / "yard")),
        Way("celery --help", Kind.STOCK, partial(_help_seconds, PEERS / "celery")),
    ]
    yield bench.compare("help", "s", helps, more_is_better=False)


def _filled(bench: Bench, worker: Worker, number: int) -> None:
    bench.servers.empty(REDIS)
    rest()
    programs = bench.servers.programs(REDIS)
    programs.seconds(worker.environment, worker.fill, number, within=WITHIN_SECONDS, warm=0)


def _command(worker: Worker) -> tuple[object, ...]:
    return celery_worker(worker.environment, worker.module, worker.queue, worker.pool, 1)


def _megabytes(bench: Bench, worker: Worker) -> float:
    _filled(bench, worker, TASKS)
    with bench.servers.programs(REDIS).running(_command(worker)) as processes:
        wait_for(lambda: bench.servers.done() >= TASKS, WITHIN_SECONDS, processes)
        time.sleep(SETTLE_SECONDS)
        return _pss(processes[0])


def _pss(worker: ChildProcess) -> float:
    parent = psutil.Process(worker.pid)
    return sum(each.memory_full_info().pss for each in (parent, *parent.children(recursive=True))) / 1e6


def _ready_seconds(bench: Bench, worker: Worker) -> float:
    _filled(bench, worker, 1)
    programs = bench.servers.programs(REDIS)
    began = time.perf_counter()
    with programs.running(_command(worker)) as processes:
        wait_for(lambda: bench.servers.done() >= 1, WITHIN_SECONDS, processes)
        return time.perf_counter() - began


def _help_seconds(program: Path) -> float:
    took = []
    for _ in range(HELP_ROUNDS):
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - ours and Celery's
            [program, "--help"],
            check=False,
            capture_output=True,
            timeout=WITHIN_SECONDS,
            env=child_environment(),
            cwd=ROOT,
        )
        took.append(time.perf_counter() - began)
        if done.returncode:
            raise Failed(done.stderr.decode()[-300:])
    return min(took)
