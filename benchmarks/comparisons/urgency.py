"""How long urgent work waits for its start while both cores are busy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.comparisons.campaigns import RECIPIENTS, campaign_fleet, sink
from benchmarks.facts import ABOVE_IDLE, OF_STOCK
from benchmarks.harness import Kind, Measured, Series, Way
from benchmarks.processes import PEERS, PROJECT, ROOT, Programs
from benchmarks.servers import REDIS, rest
from services.core.local.specs import ProcessSpec, logged

BATCH = 100_000
PROBES = 500
WITHIN_SECONDS = 120.0
MILLISECONDS = 1_000
APP = "benchmarks.fleet_app"
IDLE, BUSY = "Switchyard, idle", "Switchyard, busy"
ONE_QUEUE, TWO_QUEUES = "Celery, one queue, busy", "Celery, two queues and workers, busy"


def urgency(bench: Bench) -> Iterator[Series]:
    """Compare the fleet when idle and when busy, then stock Celery when busy, each on servers of its own."""
    probes, batch = bench.amount(PROBES, 100), bench.amount(BATCH)
    with sink(bench) as port, campaign_fleet(bench, port, _extra()) as programs:
        idle = bench.compare(
            "urgency", "ms", [_way(IDLE, Kind.OURS, programs, PROJECT, f"{APP}:probe", probes)], more_is_better=False
        )
        recipients = bench.amount(RECIPIENTS)
        for target, number in ((f"{APP}:fill_batch", batch), ("benchmarks.mailing:write_list", recipients)):
            programs.seconds(PROJECT, target, number, within=WITHIN_SECONDS, warm=0)

        def busy() -> float:
            campaign = (PROJECT / "python", "-m", "benchmarks.timed", "benchmarks.mailing:campaign", recipients, 0)
            with programs.running(campaign):
                return _milliseconds(programs, PROJECT, f"{APP}:probe", probes)

        found = bench.compare("urgency", "ms", [Way(BUSY, Kind.OURS, busy)], more_is_better=False, amount=batch)
    stock = bench.compare("urgency", "ms", _stock(bench, probes, batch), more_is_better=False)
    found.found = [*idle.found, *found.found, *stock.found]
    found.beside = BUSY
    _note(found)
    yield found


def _extra() -> tuple[ProcessSpec, ...]:
    """Return the workers of the batch tasks and of the probes."""

    def worker(queue: str, *arguments: str) -> ProcessSpec:
        command = (
            sys.executable,
            "-m",
            "celery",
            "-A",
            APP,
            "worker",
            "-Q",
            queue,
            f"-n{queue}@%h",
            "-lINFO",
            *arguments,
        )
        return ProcessSpec(queue, command, ready=logged(" ready."), metrics=True, environment={"PYTHONPATH": str(ROOT)})

    return (worker("bench.rabbitmq", "-Pprefork", "-c2"), worker("bench.critical", "-Pthreads", "-c4"))


def _way(name: str, kind: Kind, programs: Programs, environment: Path, target: str, probes: int) -> Way:
    return Way(name, kind, lambda: _milliseconds(programs, environment, target, probes))


def _milliseconds(programs: Programs, environment: Path, target: str, probes: int) -> float:
    return programs.seconds(environment, target, probes, within=WITHIN_SECONDS) * MILLISECONDS


def _stock(bench: Bench, probes: int, batch: int) -> list[Way]:
    programs = bench.servers.programs(REDIS)
    module = "benchmarks.peers.celery_app"

    def worker(queue: str) -> tuple[object, ...]:
        # Its own prefetch of 4 for each process: 64 are for throughput.
        shared = ("-lWARNING", "--pool=prefork", "--concurrency=2", "--prefetch-multiplier=4")
        return (PEERS / "celery", "-A", module, "worker", "-Q", queue, f"--hostname={queue}@bench", *shared)

    def measure(target: str, *queues: str) -> float:
        bench.servers.empty(REDIS)
        rest()
        programs.seconds(PEERS, f"{module}:fill_batch", batch, within=WITHIN_SECONDS, warm=0)
        with programs.running(*(worker(queue) for queue in queues)):
            return _milliseconds(programs, PEERS, f"{module}:{target}", probes)

    return [
        Way(ONE_QUEUE, Kind.STOCK, lambda: measure("probe", "bench"), rounds=1),
        Way(TWO_QUEUES, Kind.STOCK, lambda: measure("probe_apart", "bench", "bench.urgent")),
    ]


def _note(series: Series) -> None:
    idle, busy, stock = (_median(series.named(name)) for name in (IDLE, BUSY, ONE_QUEUE))
    if idle is not None and busy is not None:
        series.facts[ABOVE_IDLE] = busy - idle
    if stock and busy is not None:
        series.facts[OF_STOCK] = busy / stock


def _median(measured: Measured | None) -> float | None:
    return measured.median if measured else None
