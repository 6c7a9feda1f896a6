"""A broker is restarted, killed, frozen and cut off while workers of every pool work: no worker may end.

What the fleet is compared with has four workers of the pool that all of them have, and has Redis restarted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from shared.producers import PublishFailed
from tests.chaos.contenders import SWITCHYARD, Contender
from tests.chaos.report import Report, Tell
from tests.chaos.scenario import Scenario
from tests.chaos.setup import Setup
from tests.fixtures.proxy import Proxy

POOLS = (
    ("--concurrency=2",),
    ("--pool=threads", "--concurrency=2"),
    ("--pool=gevent", "--concurrency=2"),
    ("--pool=solo",),
)
PREFORK_WORKERS = 4
TASK_SECONDS = 0.05
BACKLOG = 60
"""Tasks that wait at any time, so that a worker which consumes shows it."""
RECENT = 10 * BACKLOG
"""Among so many of the latest it is counted what waits: what was lost before does not wait."""
AGAIN_WITHIN_SECONDS = 10.0
"""After the broker's first accepted login; connections that are half-open have to be noticed in that time."""
GIVE_UP_SECONDS = 90.0
GIVE_UP_OTHERS_SECONDS = 30.0
"""A worker of somebody else that has been silent for so long is killed and replaced, as its operator would."""
PUBLISH_WITHIN_SECONDS = 5.0
FREEZE_SECONDS = 20.0


class Fault(NamedTuple):
    """Something that happens to a broker; ``strike`` returns when it accepts logins again."""

    name: str
    strike: Callable[[], None]


class Feed:
    """Keeps a backlog before the workers, from a thread, and times each publish.

    Args:
        contender: Who publishes.
        setup: The broker and the queue.
        ended: The tasks that have been executed; grows.
    """

    def __init__(self, contender: Contender, setup: Setup, ended: set[str]) -> None:
        self.published: list[str] = []
        """Those with a receipt."""
        self.failed = 0
        self.slowest = 0.0
        self.unexpected: set[str] = set()
        """What else was raised than what was promised."""
        self._ended = ended
        self._promised = PublishFailed if contender.is_ours else Exception
        self._publisher = contender.publisher(setup)
        self._stop = Event()
        self._thread = Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Publish no more."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(60)
            self._publisher.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            if sum(task not in self._ended for task in self.published[-RECENT:]) >= BACKLOG:
                self._stop.wait(0.01)
                continue
            started = time.monotonic()
            try:
                self.published += self._publisher.publish(1, TASK_SECONDS)
            except self._promised:
                self.failed += 1
                self._stop.wait(0.05)
            except Exception as error:  # noqa: BLE001 - it is what the scenario looks for
                self.unexpected.add(repr(error)[:200])
                self._stop.wait(0.05)
            self.slowest = max(self.slowest, time.monotonic() - started)


class Outages(Scenario):
    """One run: some workers, a backlog before them, and faults one after the other; arguments as for ``Scenario``."""

    def __init__(
        self,
        name: str,
        setup: Setup,
        logs: Path,
        *,
        contender: Contender = SWITCHYARD,
        tell: Tell = lambda _: None,
    ) -> None:
        super().__init__(name, setup, logs, contender=contender, tell=tell)
        self._again: dict[str, float] = defaultdict(float)
        self._late: list[str] = []
        self._replaced = 0

    def run(self, faults: Sequence[Fault], workers: Sequence[Sequence[str]] = POOLS) -> Report:
        """Strike with each fault; after each, every worker has to consume again before the next.

        Args:
            faults: In their order.
            workers: The arguments of each.
        """
        with ExitStack() as stack:
            stack.enter_context(self._contender.beside(self._setup, self._logs))
            stack.enter_context(self._crew)
            feed = Feed(self._contender, self._setup, self._records.ended)
            stack.callback(feed.stop)
            for arguments in workers:
                self._crew.add(*arguments)
            self._wait_until_all_consume(time.time(), "start", GIVE_UP_SECONDS)
            for number, fault in enumerate(faults, 1):
                fault.strike()
                self._wait_until_all_consume(time.time(), fault.name, AGAIN_WITHIN_SECONDS)
                self._tell(f"{self._name}: {number}/{len(faults)} {fault.name}, {len(feed.published):,} published")
            feed.stop()
            self._drain(feed.published)
            self._crew.replace_dead()
            return self._report(feed, len(faults))

    def _wait_until_all_consume(self, since: float, fault: str, within: float) -> None:
        deadline = time.monotonic() + (GIVE_UP_SECONDS if self._contender.is_ours else GIVE_UP_OTHERS_SECONDS)
        silent = set(self._crew.workers)
        while silent and time.monotonic() < deadline:
            time.sleep(0.02)
            self._crew.replace_dead()
            silent &= self._crew.workers.keys()
            self._records.read()
            silent -= {worker for worker in silent if self._records.last.get(worker, 0) >= since}
        waited = time.time() - since
        self._again[fault] = max(self._again[fault], waited)
        if waited > within:
            who = f" ({', '.join(sorted(silent))} not at all)" if silent else ""
            self._late.append(f"after a {fault} not all workers consumed within {within:g} s{who}")
        if not self._contender.is_ours:
            self._replace(silent)

    def _replace(self, silent: set[str]) -> None:
        for worker in silent:
            self._crew.kill(worker)
            self._crew.add()
            self._replaced += 1

    def _report(self, feed: Feed, faults: int) -> Report:
        report = self._count(feed.published, {})
        report.more = {
            "faults": str(faults),
            **{f"all consume again, {fault}": f"{seconds:.1f} s at most" for fault, seconds in self._again.items()},
            "slowest publish": f"{feed.slowest:.2f} s",
            "publishes that failed": f"{feed.failed:,}",
        }
        if not self._contender.is_ours:
            report.promised = False
            report.more["workers that lived and were silent"] = f"{self._replaced}"
            return report
        report.check()
        report.broken += self._late
        if feed.slowest > PUBLISH_WITHIN_SECONDS:
            report.broken.append(f"a publish took longer than {PUBLISH_WITHIN_SECONDS:g} s")
        report.broken += [f"a publish raised {error}" for error in feed.unexpected]
        return report


def faults_of(
    server: LocalRedis | LocalRabbitMQ, proxy: Proxy, *, restarts: int, kills: int, others: int
) -> list[Fault]:
    """Return faults of a server and of the proxy that workers reach it through."""

    def kill() -> None:
        server.kill()
        server.start()

    def freeze() -> None:
        server.pause()
        time.sleep(FREEZE_SECONDS)
        server.resume()

    return [
        *[Fault("restart", server.restart)] * restarts,
        *[Fault("kill", kill)] * kills,
        *[Fault("freeze", freeze)] * others,
        *[Fault("half-open connection", proxy.half_open)] * others,
    ]


def outages_of(name: str, home: Path, *, restarts: int, kills: int, others: int, tell: Tell = lambda _: None) -> Report:
    """Start a broker below a folder, with a proxy before it, and let it fail.

    Args:
        name: ``redis`` or ``rabbitmq``.
        home: Folder for the broker, logs and records.
        restarts: How often it is stopped and started.
        kills: How often it is killed and started.
        others: How often it is frozen, and how often all connections become half-open.
        tell: Takes a line on how far the scenario has come.
    """
    records = home / "records"
    records.mkdir()
    with ExitStack() as stack:
        server: LocalRedis | LocalRabbitMQ = (
            stack.enter_context(LocalRedis(home / "broker"))
            if name == "redis"
            else stack.enter_context(LocalRabbitMQ(home / "broker"))
        )
        proxy = Proxy(server.port)
        stack.callback(proxy.end)
        url = server.url() if isinstance(server, LocalRedis) else server.url
        setup = Setup(broker=url.replace(f":{server.port}/", f":{proxy.port}/"), records=records)
        faults = faults_of(server, proxy, restarts=restarts, kills=kills, others=others)
        return Outages(f"outages, {name}", setup, home, tell=tell).run(faults)


def restarts_of_redis(home: Path, *, restarts: int, contender: Contender, tell: Tell = lambda _: None) -> Report:
    """Start a Redis below a folder and restart it, while four prefork workers of a contender work."""
    records = home / "records"
    records.mkdir()
    with LocalRedis(home / "broker") as server:
        setup = Setup(broker=server.url(), records=records)
        outages = Outages(f"Redis restarted, {contender.name}", setup, home, contender=contender, tell=tell)
        return outages.run([Fault("restart", server.restart)] * restarts, [contender.arguments] * PREFORK_WORKERS)
