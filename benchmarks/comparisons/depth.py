"""Whether a worker slows down when very much waits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.bench import Bench
from benchmarks.comparisons.draining import drained, worked_off
from benchmarks.contenders import Contender, in_pool, raw
from benchmarks.facts import LOSS
from benchmarks.harness import Series, Way
from benchmarks.processes import wait_for
from benchmarks.servers import REDIS, Servers

DEEP = 1_000_000
PIECE = 100_000
FILL_SECONDS = 120.0
REWRITE_SECONDS = 60.0


def depth(bench: Bench) -> Iterator[Series]:
    """Compare the fleet and the raw loop at both depths, with a Redis of its own for much."""
    waiting = bench.amount(DEEP)
    both = (in_pool("threads", REDIS, ours=True), raw(REDIS))
    with Servers(bench.servers.folder / "deep") as servers:
        for who in both:
            _fill(servers, who, waiting)
        _wait_for_rewrite(servers)
        deep = [Way(_deep(who, waiting), who.kind, partial(_from_the_depth, bench, servers, who)) for who in both]
        shallow = [Way(_shallow(who), who.kind, partial(drained, bench, REDIS, who)) for who in both]
        series = bench.compare("depth", "tasks/s", [*deep, *shallow], more_is_better=True, amount=waiting)
    ours, theirs = (_share(series, _deep(who, waiting), _shallow(who)) for who in both)
    if ours is not None and theirs is not None:
        series.facts[LOSS] = theirs - ours
    series.beside = ""
    yield series


def _deep(who: Contender, waiting: int) -> str:
    return f"{who.name}, {waiting:,} waiting"


def _shallow(who: Contender) -> str:
    return f"{who.name}, some thousand waiting"


def _share(series: Series, deep: str, shallow: str) -> float | None:
    much, little = series.named(deep), series.named(shallow)
    return much.median / little.median if much and little and much.median and little.median else None


def _fill(servers: Servers, who: Contender, waiting: int) -> None:
    programs = servers.programs(REDIS)
    for start in range(0, waiting, PIECE):
        piece = min(PIECE, waiting - start)
        programs.seconds(who.environment, who.fill, piece, within=FILL_SECONDS, warm=0)


def _wait_for_rewrite(servers: Servers) -> None:
    """Wait until Redis has written its file anew, which takes a core."""
    client = servers.client()
    wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"], REWRITE_SECONDS, every=0.2)


def _from_the_depth(bench: Bench, servers: Servers, who: Contender) -> float:
    """Work off some of the million, which leaves it about as deep."""
    servers.forget()
    messages = bench.amount(who.messages, 500)
    return worked_off(servers, REDIS, who, messages)
