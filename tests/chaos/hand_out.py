"""A worker is killed exactly when the server has handed a message out and the worker has not yet seen it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event

from services.core.local.brokers import LocalRedis
from tests.chaos.app import fleet
from tests.chaos.proxy import WatchingProxy
from tests.chaos.records import Records
from tests.chaos.report import Report, report_of
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.stock import VISIBILITY_SECONDS, stock
from tests.chaos.tasks import WORK
from tests.chaos.worker_kills import Tell
from tests.chaos.workers import FLEET, STOCK, Crew

LEASE_SECONDS = 3.0
CONSUMES = (b"TRACKING", b"BRPOP")
"""What only a connection that takes messages says: ours, and that of stock Celery."""


def killed_at_hand_out(
    port: int, setup: Setup, logs: Path, *, kills: int, plain: bool = False, tell: Tell = lambda _: None
) -> Report:
    """Publish a task, let a worker have it handed out, kill it before it knows; so many times; then let one work.

    Args:
        port: That of the Redis that ``setup`` names.
        setup: The broker and the queue.
        logs: Folder for the logs of the workers.
        kills: How often.
        plain: Whether stock Celery is put to the test in the place of a fleet.
        tell: Takes a line on how far it has come.
    """
    name = f"killed at hand-out, {'stock Celery' if plain else 'Redis'}"
    handed_out = Event()

    def is_hand_out(said: bytes, answer: bytes) -> bool:
        if WORK.encode() not in answer or not any(word in said for word in CONSUMES):
            return False
        handed_out.set()
        return True

    with ExitStack() as stack:
        proxy = WatchingProxy(port, is_hand_out)
        stack.callback(proxy.end)
        setup = replace(setup, options=None if plain else {"lease_seconds": LEASE_SECONDS})
        app = stock(setup) if plain else fleet(setup)
        stack.callback(app.close)
        module = STOCK if plain else FLEET
        watched = stack.enter_context(
            Crew(module, replace(setup, broker=setup.broker.replace(f":{port}/", f":{proxy.port}/")), logs / "watched")
        )
        published = []
        for number in range(1, kills + 1):
            published.append(app.send_task(WORK, (0.01,), queue=QUEUE, ignore_result=True).id)
            victim = watched.add()
            if not handed_out.wait(30):
                raise AssertionError(f"nothing was handed out; {watched.workers[victim].log_tail()}")
            watched.kill(victim)
            handed_out.clear()
            tell(f"{name}: {number}/{kills} kills")
        crew = stack.enter_context(Crew(module, setup, logs / "free"))
        crew.add()
        records = Records(setup.records)
        deadline = time.monotonic() + 4 * (VISIBILITY_SECONDS if plain else LEASE_SECONDS) + 10
        while len(records.ended) < kills and time.monotonic() < deadline:
            records.read()
            time.sleep(0.1)
        crew.stop()
        records.read()
        return report_of(name, published, records, watched.kills, [*watched.deaths, *crew.deaths])


def on_a_redis_of_its_own(home: Path, *, kills: int, plain: bool = False, tell: Tell = lambda _: None) -> Report:
    """Start a Redis below a folder and play the scenario on it."""
    with LocalRedis(home / "redis") as server:
        records = home / "records"
        records.mkdir()
        return killed_at_hand_out(
            server.port, Setup(broker=server.url(), records=records), home, kills=kills, plain=plain, tell=tell
        )
