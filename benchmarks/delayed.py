"""What a hundred thousand delayed tasks cost a worker: its memory, and the rate of the ordinary tasks beside them.

Two fleets do the same work, each with a Redis of its own for everything, and one of them has delayed tasks that are due
in an hour.  Machines are noisy, so rounds are interleaved, the ratio of medians is what counts, and the processor time
of worker and Redis is shown as well: it is the same on a busy machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import redis

from benchmarks.draining_apps import DONE, QUEUES
from services.core.local.brokers import LocalRedis
from shared.names import BrokerName
from shared.settings import child_environment

APP = "benchmarks.draining_apps:fleet_with_state"
QUEUE = QUEUES[BrokerName.DEFAULT]
DELAYED = 100_000
ROUNDS = 5
MESSAGES = 4000
WARM = 300
"""Messages after which the clock starts: all processes of the worker are up then."""
GIVE_UP_SECONDS = 180.0
MOST_MEGABYTES = 150
ROOT = Path(__file__).parents[1]

PUBLISH = """
from benchmarks.draining_apps import TASK, fleet_with_state as app
for _ in range({count}): app.send_task(TASK, queue={queue!r})
"""
DELAY = """
from dataclasses import replace
from uuid import uuid4
from benchmarks.draining_apps import TASK, fleet_with_state as app
from shared.delays.entry import Delay, Entry
app.send_task(TASK, queue={queue!r}, countdown=3600)
[(raw, _)] = app.delays.first([{broker!r}], 1)
entry = Entry.decode(raw)
delay = Delay(3600.0, None, 0.0)
for _ in range({count} - 1): app.delays.store(replace(entry, id=f"{{uuid4()}}/{{uuid4().hex}}"), delay)
"""


class Fleet:
    """A worker and a Redis that has brokers, results and shared state."""

    def __init__(self, server: LocalRedis) -> None:
        names = ("BROKER_DEFAULT", "BROKER_CRITICAL", "RESULTS", "STATE")
        urls = {f"YARD_{name}_URL": server.url(number) for number, name in enumerate(names)}
        # Nobody publishes to RabbitMQ here.
        self._environment = child_environment({**urls, "YARD_BROKER_BATCH_URL": "amqp://127.0.0.1:9//"})
        self._counter = redis.Redis.from_url(urls["YARD_RESULTS_URL"])
        self.rates: list[float] = []
        """Messages per second, of each round."""
        self.costs: list[float] = []
        """Microseconds of processor time for a message, of each round."""
        self.megabytes = 0.0
        """The most that a process of the worker ever held."""

    def run(self, code: str, count: int) -> None:
        """Let a process of the fleet publish."""
        filled = code.format(count=count, queue=QUEUE, broker=str(BrokerName.DEFAULT))
        subprocess.run([sys.executable, "-c", filled], env=self._environment, cwd=ROOT, check=True)  # noqa: S603 - our own

    def drain(self) -> None:
        """Fill the queue, start the worker, and measure until it is empty."""
        self._counter.delete(DONE)
        self.run(PUBLISH, MESSAGES)
        with self._worker() as worker:
            self._wait(WARM)
            parent = psutil.Process(worker.pid)
            processes = (parent, *parent.children())
            done, started, used = self._done(), time.perf_counter(), self._processor_seconds(processes)
            self._wait(MESSAGES)
            count = MESSAGES - done
            self.rates.append(count / (time.perf_counter() - started))
            self.costs.append((self._processor_seconds(processes) - used) / count * 1e6)
            self.megabytes = max(self.megabytes, *(each.memory_info().rss / 1e6 for each in processes))

    @contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        arguments = ["-Q", QUEUE, "--pool=prefork", "-c2", "-lERROR", "--without-mingle", "--without-gossip"]
        worker = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-m", "celery", "-A", APP, "worker", *arguments],
            env=self._environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield worker
        finally:
            worker.terminate()
            worker.wait()

    def _processor_seconds(self, processes: Sequence[psutil.Process]) -> float:
        server: Any = self._counter.info("cpu")
        times = [each.cpu_times() for each in processes]
        return float(server["used_cpu_user"] + server["used_cpu_sys"] + sum(each.user + each.system for each in times))

    def _done(self) -> int:
        return int(self._counter.get(DONE) or 0)

    def _wait(self, count: int) -> None:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while self._done() < count:
            if time.monotonic() > deadline:
                sys.exit(f"Only {self._done()} of {count} messages were done in {GIVE_UP_SECONDS:g} s.")
            time.sleep(0.005)


def main() -> int:
    """Compare, and print; returns 1 when a process of the worker held more than is promised."""
    print(f"{ROUNDS} interleaved rounds, {MESSAGES} messages; medians of messages per second.\n")
    with TemporaryDirectory() as folder, ExitStack() as stack:
        fleets = {
            count: Fleet(stack.enter_context(LocalRedis(Path(folder) / f"{count}-delayed"))) for count in (0, DELAYED)
        }
        fleets[DELAYED].run(DELAY, DELAYED)
        for _ in range(ROUNDS):
            for fleet in fleets.values():
                fleet.drain()
    rates, costs = (
        {count: statistics.median(getattr(fleet, name)) for count, fleet in fleets.items()}
        for name in ("rates", "costs")
    )
    for count, fleet in fleets.items():
        spread = f"({min(fleet.rates):,.0f} … {max(fleet.rates):,.0f})"
        cost = f"{costs[count]:,.0f} µs of processor time a message"
        print(
            f"{count:7,} delayed {rates[count]:8,.0f}/s {spread}, {cost}, at most {fleet.megabytes:.0f} MB in a process"
        )
    print(f"rate with delayed tasks ÷ without {rates[DELAYED] / rates[0]:.2f}")
    print(f"processor time with delayed tasks ÷ without {costs[DELAYED] / costs[0]:.2f}")
    return int(fleets[DELAYED].megabytes > MOST_MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
