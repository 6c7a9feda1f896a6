"""A worker is killed exactly when the server has handed a message out and the worker has not yet seen it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event

from services.core.local.brokers import LocalRedis
from services.core.local.waiting import wait_until
from tests.chaos.contenders import SWITCHYARD, Contender
from tests.chaos.kept import kept
from tests.chaos.proxy import WatchingProxy
from tests.chaos.records import Records
from tests.chaos.report import Report, Tell, report_of
from tests.chaos.setup import Setup
from tests.chaos.tasks import WORK

LEASE_SECONDS = 3.0
CONSUMES = (b"TRACKING", b"BRPOP")
"""What only a connection that takes messages says: ours, and that of stock Celery."""
WAIT_SECONDS = 50.0
"""For the tasks of killed workers, of whoever restarts them in less than an hour."""


def killed_at_hand_out(
    port: int,
    setup: Setup,
    logs: Path,
    *,
    kills: int,
    contender: Contender = SWITCHYARD,
    tell: Tell = lambda _: None,
) -> Report:
    """Publish a task, let a worker have it handed out, kill it before it knows; so many times; then let one work.

    Args:
        port: That of the Redis that ``setup`` names.
        setup: The broker and the queue.
        logs: Folder for the logs of the workers.
        kills: How often.
        contender: Who is put to the test.
        tell: Takes a line on how far it has come.
    """
    name = f"killed at hand-out, {contender.name}"
    handed_out = Event()

    def is_hand_out(said: bytes, answer: bytes) -> bool:
        if WORK.encode() not in answer or not any(word in said for word in CONSUMES):
            return False
        handed_out.set()
        return True

    with ExitStack() as stack:
        proxy = WatchingProxy(port, is_hand_out)
        stack.callback(proxy.end)
        if contender.is_ours:
            setup = replace(setup, options={"lease_seconds": LEASE_SECONDS})
        publisher = contender.publisher(setup)
        stack.callback(publisher.close)
        stack.enter_context(contender.beside(setup, logs))
        behind = replace(setup, broker=setup.broker.replace(f":{port}/", f":{proxy.port}/"))
        watched = stack.enter_context(contender.crew(behind, logs / "watched"))
        published: list[str] = []
        for number in range(1, kills + 1):
            published += publisher.publish(1, 0.01)
            victim = watched.add()
            if not handed_out.wait(30):
                raise AssertionError(f"nothing was handed out; {watched.workers[victim].log_tail()}")
            watched.kill(victim)
            handed_out.clear()
            tell(f"{name}: {number}/{kills} kills")
        crew = stack.enter_context(contender.crew(setup, logs / "free"))
        crew.add()
        records = Records(setup.records)

        def all_ended() -> bool:
            records.read()
            return len(records.ended) >= kills

        wait_until(all_ended, WAIT_SECONDS, every=0.1)
        crew.stop()
        records.read()
        report = report_of(name, published, records, watched.kills, [*watched.deaths, *crew.deaths])
        report.held = len(kept(setup.broker, set(published) - records.ended))
        return report


def on_a_redis_of_its_own(
    home: Path, *, kills: int, contender: Contender = SWITCHYARD, tell: Tell = lambda _: None
) -> Report:
    """Start a Redis below a folder and play the scenario on it."""
    with LocalRedis(home / "redis") as server:
        records = home / "records"
        records.mkdir()
        setup = Setup(broker=server.url(), records=records)
        return killed_at_hand_out(server.port, setup, home, kills=kills, contender=contender, tell=tell)
