"""A broker is restarted, killed, frozen and cut off while workers of every pool work: no worker may end."""

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
from tests.chaos.app import fleet
from tests.chaos.records import Records
from tests.chaos.report import Report, report_of
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.tasks import WORK
from tests.chaos.worker_kills import Tell
from tests.chaos.workers import FLEET, Crew
from tests.fixtures.proxy import Proxy

POOLS = (
    ("--concurrency=2",),
    ("--pool=threads", "--concurrency=2"),
    ("--pool=gevent", "--concurrency=2"),
    ("--pool=solo",),
)
TASK_SECONDS = 0.05
BACKLOG = 60
"""Tasks that wait at any time, so that a worker which consumes shows it."""
AGAIN_WITHIN_SECONDS = 10.0
"""After the broker's first accepted login; connections that are half-open have to be noticed in that time."""
GIVE_UP_SECONDS = 90.0
PUBLISH_WITHIN_SECONDS = 5.0
FREEZE_SECONDS = 20.0
STUCK_SECONDS = 45.0


class Fault(NamedTuple):
    """Something that happens to a broker; ``strike`` returns when it accepts logins again."""

    name: str
    strike: Callable[[], None]


class Publisher:
    """Keeps a backlog before the workers, from a thread, and times each publish."""

    def __init__(self, setup: Setup) -> None:
        self.published: list[str] = []
        """Those with a receipt."""
        self.failed = 0
        self.slowest = 0.0
        self.unexpected: set[str] = set()
        self.ended_of: Callable[[], int] = lambda: 0
        """Tells how many have been executed."""
        self._app = fleet(setup)
        self._stop = Event()
        self._thread = Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Publish no more."""
        self._stop.set()
        self._thread.join(60)
        self._app.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            if len(self.published) - self.ended_of() >= BACKLOG:
                self._stop.wait(0.01)
                continue
            started = time.monotonic()
            try:
                self.published.append(self._app.send_task(WORK, (TASK_SECONDS,), queue=QUEUE, ignore_result=True).id)
            except PublishFailed:
                self.failed += 1
                self._stop.wait(0.05)
            except Exception as error:  # noqa: BLE001 - it is what the scenario looks for
                self.unexpected.add(repr(error)[:200])
                self._stop.wait(0.05)
            self.slowest = max(self.slowest, time.monotonic() - started)


class Outages:
    """One run: a worker of each pool, a publisher, and faults one after the other."""

    def __init__(self, name: str, setup: Setup, logs: Path, tell: Tell = lambda _: None) -> None:
        self._name, self._setup, self._tell = name, setup, tell
        self._crew = Crew(FLEET, setup, logs)
        self._records = Records(setup.records)
        self._again: dict[str, float] = defaultdict(float)
        self._broken: list[str] = []

    def run(self, faults: Sequence[Fault]) -> Report:
        """Strike with each fault; after each, every worker has to consume again before the next."""
        with ExitStack() as stack:
            stack.enter_context(self._crew)
            publisher = Publisher(self._setup)
            stack.callback(publisher.stop)
            publisher.ended_of = lambda: len(self._records.ended)
            for arguments in POOLS:
                self._crew.add(*arguments)
            self._wait_until_all_consume(time.time(), "start", GIVE_UP_SECONDS)
            for number, fault in enumerate(faults, 1):
                fault.strike()
                self._wait_until_all_consume(time.time(), fault.name, AGAIN_WITHIN_SECONDS)
                self._tell(f"{self._name}: {number}/{len(faults)} {fault.name}, {len(publisher.published):,} published")
            publisher.stop()
            self._drain(publisher.published)
            self._crew.replace_dead()
        return self._report(publisher, len(faults))

    def _wait_until_all_consume(self, since: float, fault: str, within: float) -> None:
        deadline = time.monotonic() + GIVE_UP_SECONDS
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
            self._broken.append(f"after a {fault} not all workers consumed within {within:g} s{who}")

    def _drain(self, published: Sequence[str]) -> None:
        done, since = -1, time.monotonic()
        while not self._records.ended.issuperset(published) and time.monotonic() - since < STUCK_SECONDS:
            self._records.read()
            if len(self._records.ended) != done:
                done, since = len(self._records.ended), time.monotonic()
            time.sleep(0.1)

    def _report(self, publisher: Publisher, faults: int) -> Report:
        report = report_of(self._name, publisher.published, self._records, {}, self._crew.deaths).check()
        report.more = {
            "faults": str(faults),
            **{f"all consume again, {fault}": f"{seconds:.1f} s at most" for fault, seconds in self._again.items()},
            "slowest publish": f"{publisher.slowest:.2f} s",
            "publishes that failed": f"{publisher.failed:,}",
        }
        report.broken += self._broken
        if publisher.slowest > PUBLISH_WITHIN_SECONDS:
            report.broken.append(f"a publish took longer than {PUBLISH_WITHIN_SECONDS:g} s")
        report.broken += [f"a publish raised {error}" for error in publisher.unexpected]
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
        return Outages(f"outages, {name}", setup, home, tell).run(faults)
