"""How long a campaign takes, beside a script that a person would write and a loop that only sends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.bench import Bench
from benchmarks.harness import Kind, Series, Way
from benchmarks.processes import PROJECT, ROOT, Programs, wait_for
from benchmarks.servers import COUNTER
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from services.core.local.ports import free_ports, listens
from services.core.local.specs import Plan, ProcessSpec
from shared.names import QueueName
from shared.settings import FleetSettings, child_environment

RECIPIENTS = 20_000
FEWER = 200
"""Recipients of the campaign before, with which connections are made and caches filled."""
WITHIN_SECONDS = 180.0
SINK_SECONDS = 10.0
BULK = QueueName.EMAIL_BULK.value
LARGE_CHUNKS = {"YARD_CAMPAIGN_CHUNK_SIZE": "250"}
"""For campaigns of many recipients and a relay that is near; who submits cuts the chunks."""


def campaigns(bench: Bench) -> Iterator[Series]:
    """Compare the fleet, with its own and with larger chunks, the script and the loop, with the same server of mail."""
    number, fewer = bench.amount(RECIPIENTS), FEWER
    with sink(bench) as port, campaign_fleet(bench, port) as programs:
        in_large_chunks = Programs(programs.logs, {**programs.environment, **LARGE_CHUNKS})
        for size in (number, fewer):
            programs.seconds(PROJECT, "benchmarks.mailing:write_list", size, within=WITHIN_SECONDS, warm=0)

        def seconds(target: str, warm: int = 0, within: Programs = programs) -> float:
            return within.seconds(PROJECT, f"benchmarks.mailing:{target}", number, within=WITHIN_SECONDS, warm=warm)

        ways = [
            Way("Switchyard, as it comes", Kind.OURS, lambda: seconds("campaign", fewer)),
            Way("Switchyard, chunks of 250", Kind.OURS, lambda: seconds("campaign", fewer, in_large_chunks)),
            Way("script of two processes", Kind.PEER, lambda: seconds("script")),
            Way("smtplib, rendered beforehand", Kind.LIMIT, lambda: seconds("rendered_beforehand")),
        ]
        series = bench.compare("campaign", "s", ways, more_is_better=False, amount=number)
    yield series


@contextmanager
def sink(bench: Bench) -> Iterator[int]:
    """Run the server of mail for the length of a ``with`` block, and yield its port."""
    (port,) = free_ports(1)
    programs = Programs(bench.servers.folder / "logs", child_environment({"PYTHONPATH": str(ROOT)}))
    with programs.running((sys.executable, "-m", "benchmarks.smtp_sink", port)) as processes:
        wait_for(lambda: listens(port), SINK_SECONDS, processes)
        yield port


@contextmanager
def campaign_fleet(bench: Bench, port: int, extra: tuple[ProcessSpec, ...] = ()) -> Iterator[Programs]:
    """Run a whole fleet, with two workers of bulk mail, whose mail goes to the sink; yield what starts programs in it.

    Args:
        bench: The run.
        port: Of the sink.
        extra: Processes beside those of the plan.
    """
    settings, home = {"YARD_SMTP_PORT": str(port)}, bench.servers.folder / "fleet"
    with LocalFleet(home, lambda found: _plan(found, settings, extra)) as fleet:
        environment = {**settings, "YARD_HOME": str(home), "PYTHONPATH": str(ROOT), **urls(fleet)}
        yield Programs(home / "programs", child_environment(environment, without=("YARD_", "BENCH_")))


def urls(fleet: LocalFleet) -> dict[str, str]:
    """Return the variables of the benchmarks for programs of a fleet."""
    return {"BENCH_COUNTER_URL": fleet.redis.url(COUNTER), "BENCH_BROKER_URL": fleet.redis.url()}


def _plan(found: FleetSettings, settings: dict[str, str], extra: tuple[ProcessSpec, ...]) -> Plan:
    plan = switchyard_plan(found)
    counter = f"{found.state_url.get_secret_value().rpartition('/')[0]}/{COUNTER}"
    settings = {**settings, "BENCH_COUNTER_URL": counter}
    (bulk,) = (spec for spec in plan.processes if spec.name == BULK)
    second = replace(bulk, name=f"{BULK}-2", argv=(*bulk.argv, "--name", f"{BULK}-2"))
    return replace(plan, processes=tuple(_with(spec, settings) for spec in (*plan.processes, second, *extra)))


def _with(spec: ProcessSpec, settings: dict[str, str]) -> ProcessSpec:
    return replace(spec, environment={**spec.environment, **settings})
