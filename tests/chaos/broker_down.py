"""RabbitMQ is down while file jobs are submitted through the HTTP API: each has its receipt, and all are done after.

The fleet is the one of ``yard up``.  RabbitMQ is killed, and whatever its supervisor starts again is out of reach until
the outage is over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import httpx2

from services.core.chaos.checker import Checker
from services.core.chaos.course import RABBITMQ
from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.proxied_fleet import proxied_fleet
from services.core.chaos.proxy import Proxy
from services.core.chaos.receipts import JobReceipt, Receipts
from services.core.chaos.samples import DOMAIN
from services.core.chaos.tally import Tally
from services.core.ledger.engine import open_ledger
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from services.core.local.waiting import wait_while_it_moves
from services.core.usecases.api_keys import Role, create_key
from services.core.usecases.outbox_lag import outbox_lag
from shared.errors import FleetError
from shared.storage import Storage
from tests.chaos.report import Outcome, Tell, percentile
from tests.fixtures.postgres import MISSING, LocalPostgres, find_programs

NAME = "note.txt"
CONTENT = "This is note {number}.\n"
RECEIPT_WITHIN_SECONDS = 0.1
"""At the median."""
LOOK_SECONDS = 0.5
STUCK_SECONDS = 120.0
"""Without any news for so long, what is not done never will be."""
QUIET_SECONDS = 10.0
"""After the last job is done, for how long something may come again: a relay repeats what it did not note in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """How long the scenario is."""

    jobs: int
    """Submitted evenly while the broker is down."""
    seconds: float
    """For how long it is; until all are submitted when that takes longer."""


@dataclass
class Submitted:
    """What the API has answered."""

    receipts: Receipts = field(default_factory=Receipts)
    seconds: list[float] = field(default_factory=list)
    """How long each receipt took."""


class BrokerDown:
    """One run of the scenario.

    Args:
        fleet: Is up.
        proxy: Stands before RabbitMQ.
        outage: How long it is.
        tell: Takes a line on how far it has come.
    """

    def __init__(self, fleet: LocalFleet, proxy: Proxy, outage: Outage, tell: Tell = lambda _: None) -> None:
        self._fleet, self._proxy, self._outage, self._tell = fleet, proxy, outage, tell
        self._ledger = open_ledger(fleet.settings.ledger_url)
        self._mail = MailFolder(fleet.mail.folder)
        self._checker = Checker(self._ledger, Storage(fleet.settings.storage), self._mail)
        self._submitted = Submitted()

    def run(self) -> Outcome:
        """Submit one job, then all others while the broker is down; wait until they are done, and count."""
        with self._api() as api:
            self._submit(api, 0)
            self._wait_until_done(1)
            with self._down():
                down_for = self._submit_all(api)
                done_meanwhile = self._done() - 1
                waiting = outbox_lag(self._ledger).entries
        back = time.monotonic()
        self._wait_until_done(self._outage.jobs + 1)
        took = time.monotonic() - back
        time.sleep(QUIET_SECONDS)
        return self._outcome(
            self._checker.check(self._submitted.receipts),
            {
                "broker down for": f"{down_for:.0f} s",
                "jobs that were done meanwhile": f"{done_meanwhile:,}",
                "entries in the outbox at its end": f"{waiting:,}",
                "all done, after the broker was back": f"{took:.0f} s",
            },
        )

    @property
    def receipt_seconds(self) -> list[float]:
        """How long each receipt took while the broker was down, sorted."""
        return sorted(self._submitted.seconds[1:])

    @contextmanager
    def _api(self) -> Iterator[httpx2.Client]:
        key = create_key(self._ledger, Role.SENDER, "broker down")
        url = f"http://{self._fleet.settings.api_host}:{self._fleet.process('api').ports['http']}"
        with httpx2.Client(base_url=url, timeout=60, headers={"Authorization": f"Bearer {key.secret}"}) as client:
            yield client

    @contextmanager
    def _down(self) -> Iterator[None]:
        self._proxy.refuse()
        self._fleet.rabbitmq.kill()
        try:
            yield
        finally:
            self._proxy.accept()

    def _submit_all(self, api: httpx2.Client) -> float:
        """Submit jobs evenly over the outage; return how long it was."""
        begun = time.monotonic()
        jobs, seconds = self._outage.jobs, self._outage.seconds
        for number in range(1, jobs + 1):
            time.sleep(max(0.0, begun + seconds * (number - 1) / jobs - time.monotonic()))
            self._submit(api, number)
            self._tell(f"broker down: {number:,} of {jobs:,} jobs submitted")
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
        return time.monotonic() - begun

    def _submit(self, api: httpx2.Client, number: int) -> None:
        owner = f"note-{number}@{DOMAIN}"
        begun = time.monotonic()
        try:
            answer = api.post(
                "/api/v1/jobs",
                headers={"Idempotency-Key": str(uuid4())},
                files={"files": (NAME, CONTENT.format(number=number).encode())},
                data={"notify": owner},
            )
        except httpx2.HTTPError as error:
            self._submitted.receipts.refused.append(f"job {number}: {error!r}")
            return
        if answer.status_code != httpx2.codes.ACCEPTED:
            self._submitted.receipts.refused.append(f"job {number}: {answer.status_code} {answer.text[:200]}")
            return
        self._submitted.seconds.append(time.monotonic() - begun)
        self._submitted.receipts.jobs.append(JobReceipt(answer.json()["id"], (NAME,), owner))

    def _done(self) -> int:
        """Return of how many jobs somebody was told; that is the last thing that is done for one."""
        self._mail.read()
        return sum(self._mail.messages(job.notify) > 0 for job in self._submitted.receipts.jobs)

    def _wait_until_done(self, jobs: int) -> None:
        def left() -> int:
            done = self._done()
            self._tell(f"broker down: {done:,} of {jobs:,} jobs done")
            return max(0, jobs - len(self._submitted.receipts.refused) - done)

        wait_while_it_moves(left, STUCK_SECONDS, every=LOOK_SECONDS)

    def _outcome(self, tally: Tally, times: dict[str, str]) -> Outcome:
        seconds, refused = self.receipt_seconds, self._submitted.receipts.refused
        p50, p99 = percentile(seconds, 50), percentile(seconds, 99)
        facts = {
            "receipts": f"{len(seconds):,}",
            "not accepted": f"{len(refused):,}",
            "receipt took": f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, {seconds[-1] * 1000:.0f} ms at most",
            **times,
            "effects accepted": f"{tally.accepted:,}",
            "effects done": f"{tally.done:,}",
            "effects lost": f"{len(tally.lost):,}",
            "effects failed": f"{tally.failures:,}",
            "effects repeated": f"{len(tally.repeated) + len(tally.again):,}",
        }
        broken = [*refused, *tally.lost, *tally.repeated, *tally.again, *tally.failed]
        if times["jobs that were done meanwhile"] != "0":
            broken.append("jobs were done while the broker was down, so it was not")
        return Outcome(f"broker down, ledger on {self._ledger_kind}", more=facts, broken=broken)

    @property
    def _ledger_kind(self) -> str:
        return self._fleet.settings.ledger_url.get_secret_value().partition(":")[0].partition("+")[0]


def on_a_fleet_of_its_own(
    home: Path, outage: Outage, *, postgres: bool = False, tell: Tell = lambda _: None
) -> Outcome:
    """Start a fleet below a folder and play the scenario on it.

    Args:
        home: Folder for everything that is written.
        outage: How long it is.
        postgres: Whether the ledger is in a PostgreSQL of its own; it is SQLite otherwise.
        tell: Takes a line on how far it has come.
    """
    with ExitStack() as stack:
        if postgres:
            stack.enter_context(_ledger_in_postgres())
        fleet, proxies = stack.enter_context(proxied_fleet(home / "home", switchyard_plan, tell))
        run = BrokerDown(fleet, proxies[RABBITMQ], outage, tell)
        outcome = run.run()
    if percentile(run.receipt_seconds, 50) > RECEIPT_WITHIN_SECONDS:
        outcome.broken.append(f"at the median a receipt took longer than {RECEIPT_WITHIN_SECONDS:g} s")
    return outcome


@contextmanager
def _ledger_in_postgres() -> Iterator[None]:
    """Start a PostgreSQL, and name it to the processes that are started in the block."""
    programs = find_programs()
    if programs is None:
        raise FleetError(MISSING)
    server = LocalPostgres(programs)
    try:
        server.start()
        with patch.dict(os.environ, {"YARD_DATABASE_URL": server.new_database()}):
            yield
    finally:
        server.stop()
