"""How fast two worker processes empty a queue of tasks that do one INCR."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from benchmarks.bench import Bench
from benchmarks.contenders import Contender, contenders
from benchmarks.harness import Failed, Series, Way
from benchmarks.processes import wait_for
from benchmarks.servers import RABBITMQ, REDIS, Servers, rest

FILL_SECONDS = 90.0
START_SECONDS = 60.0
DRAIN_SECONDS = 90.0
MOST_BEFORE = 0.5
"""The share of the messages that may be done before all processes are up; then the clock starts anyway."""


def drain_redis(bench: Bench) -> Iterator[Series]:
    """Compare on Redis."""
    yield _compare(bench, REDIS)


def drain_rabbitmq(bench: Bench) -> Iterator[Series]:
    """Compare on RabbitMQ."""
    yield _compare(bench, RABBITMQ)


def _compare(bench: Bench, broker: str) -> Series:
    ways = [Way(each.name, each.kind, partial(drained, bench, broker, each)) for each in contenders(broker)]
    return bench.compare(f"drain-{broker}", "tasks/s", ways, more_is_better=True)


def drained(bench: Bench, broker: str, who: Contender) -> float:
    """Fill the queue, start the workers, and return how many tasks a second they do once all are up.

    Raises:
        Failed: The queue was not filled or not emptied in time, or a worker ended.
    """
    servers, messages = bench.servers, bench.amount(who.messages, 500)
    servers.empty(broker)
    rest()
    servers.programs(broker).seconds(who.environment, who.fill, messages, within=FILL_SECONDS, warm=0)
    return worked_off(servers, broker, who, messages)


def worked_off(servers: Servers, broker: str, who: Contender, messages: int) -> float:
    """Start the workers, and return how many tasks a second they do once all are up, until so many are done.

    Raises:
        Failed: It took too long, or a worker ended.
    """
    with servers.programs(broker).running(*who.workers) as workers:
        wait_for(
            lambda: servers.up() >= who.up or servers.done() >= messages * MOST_BEFORE,
            START_SECONDS,
            workers,
        )
        before, began = servers.done(), time.perf_counter()
        wait_for(lambda: servers.done() >= messages, DRAIN_SECONDS, workers)
        took = time.perf_counter() - began
    if before >= messages:
        raise Failed("All was done before the clock started.")
    return (messages - before) / took
