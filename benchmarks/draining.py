"""How fast two workers empty a queue of tasks that do next to nothing: stock Celery's pools and the fleet's.

Stock Celery runs with its defaults, which acknowledge early; the fleet acknowledges late, with leases and accounting.
Both have the same prefetch.  Machines are noisy, so rounds are interleaved and the ratio of medians is what counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import redis

from benchmarks.draining_apps import DONE, QUEUES, TASK
from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from shared.names import BrokerName
from shared.settings import child_environment

ROUNDS = 3
MESSAGES = 3000
WARM = 200
"""Messages after which the clock starts: both workers are up then."""
WORKERS = 2
GIVE_UP_SECONDS = 180.0
ROOT = Path(__file__).parents[1]


class Way(NamedTuple):
    """An app and a pool."""

    app: str
    pool: str
    concurrency: int


def ways(broker: BrokerName) -> list[Way]:
    """Return what is compared on a broker."""
    stock = f"stock_{broker.value}"
    return [
        Way(stock, "prefork", 2),
        Way(stock, "threads", 4),
        Way(stock, "solo", 1),
        Way("fleet", "threads", 4),
        Way("fleet", "solo", 1),
        Way("fleet", "prefork", 2),
    ]


class Bench:
    """A queue on a broker of its own, and the workers that empty it.

    Args:
        environment: Where the brokers are.
        results: The database in which the tasks count.
    """

    def __init__(self, environment: dict[str, str], results: str) -> None:
        self._environment = environment
        self._counter = redis.Redis.from_url(results)

    def messages_per_second(self, broker: BrokerName, way: Way) -> float:
        """Fill the queue, start the workers, and measure until it is empty."""
        self._counter.delete(DONE)
        self._fill(broker, way.app)
        with ExitStack() as stack:
            for number in range(WORKERS):
                self._start(stack, broker, way, number)
            self._wait(WARM)
            done, started = self._done(), time.perf_counter()
            self._wait(MESSAGES)
            return (MESSAGES - done) / (time.perf_counter() - started)

    def _fill(self, broker: BrokerName, app: str) -> None:
        code = (
            f"from benchmarks.draining_apps import {app} as app\n"
            f"for _ in range({MESSAGES}): app.send_task({TASK!r}, queue={QUEUES[broker]!r})"
        )
        subprocess.run([sys.executable, "-c", code], env=self._environment, cwd=ROOT, check=True)  # noqa: S603 - our own

    def _start(self, stack: ExitStack, broker: BrokerName, way: Way, number: int) -> None:
        arguments = ["-Q", QUEUES[broker], f"--pool={way.pool}", f"-c{way.concurrency}", f"-n{number}@drain"]
        worker = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-m", "celery", "-A", f"benchmarks.draining_apps:{way.app}", "worker", *arguments,
             "-lERROR", "--without-mingle", "--without-gossip"],
            env=self._environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(worker.wait)
        stack.callback(worker.terminate)

    def _done(self) -> int:
        return int(self._counter.get(DONE) or 0)

    def _wait(self, count: int) -> None:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while self._done() < count:
            if time.monotonic() > deadline:
                sys.exit(f"Only {self._done()} of {count} messages were done in {GIVE_UP_SECONDS:g} s.")
            time.sleep(0.005)


def compare(bench: Bench, broker: BrokerName, name: str) -> None:
    """Measure every way on one broker, in turn, and print the rates and how the best ones compare."""
    rates: dict[Way, list[float]] = {way: [] for way in ways(broker)}
    for _ in range(ROUNDS):
        for way, measured in rates.items():
            measured.append(bench.messages_per_second(broker, way))
    medians = {way: statistics.median(measured) for way, measured in rates.items()}
    for way, measured in rates.items():
        spread = f"({min(measured):,.0f} … {max(measured):,.0f})"
        print(f"{name:10} {way.app.partition('_')[0]:6} {way.pool:8} {medians[way]:8,.0f}/s   {spread}")
    best = {ours: max(rate for way, rate in medians.items() if (way.app == "fleet") is ours) for ours in (True, False)}
    print(f"{name:10} best of the fleet ÷ best of stock {best[True] / best[False]:.2f}\n", flush=True)


def main() -> None:
    """Compare on a Redis and a RabbitMQ of our own."""
    print(f"{ROUNDS} interleaved rounds, {MESSAGES} messages, {WORKERS} workers; medians of messages per second.\n")
    with TemporaryDirectory() as folder, ExitStack() as stack:
        server = stack.enter_context(LocalRedis(Path(folder) / "redis"))
        rabbitmq = stack.enter_context(LocalRabbitMQ(Path(folder) / "rabbitmq"))
        environment = child_environment(
            {
                "YARD_BROKER_DEFAULT_URL": server.url(0),
                "YARD_BROKER_CRITICAL_URL": server.url(1),
                "YARD_BROKER_BATCH_URL": rabbitmq.url,
                "YARD_RESULTS_URL": server.url(2),
            }
        )
        bench = Bench(environment, server.url(2))
        compare(bench, BrokerName.DEFAULT, "Redis")
        compare(bench, BrokerName.BATCH, "RabbitMQ")


if __name__ == "__main__":
    main()
