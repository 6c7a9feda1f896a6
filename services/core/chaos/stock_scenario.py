"""Plain Celery put to the same test: where it loses nothing, the test is too weak."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery, chain, chord

from services.core.chaos import samples, stock
from services.core.chaos.amounts import Submission, What
from services.core.chaos.course import REDIS, Course, Run, Subject
from services.core.chaos.faults import Tell
from services.core.chaos.load import ThreadLoad
from services.core.chaos.local_faults import LocalFaults
from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.proxied_fleet import gave_up, proxied_fleet
from services.core.chaos.proxy import Proxy
from services.core.chaos.receipts import CampaignReceipt, JobReceipt, MailReceipt, Receipts
from services.core.chaos.report import Report
from services.core.chaos.schedule import Targets
from services.core.chaos.tally import Tally
from services.core.local.fleet import LocalFleet
from services.core.local.specs import Plan, ProcessSpec, logged
from shared.settings import FleetSettings

WORKERS = tuple(f"stock-{number}" for number in range(1, 5))
CHUNK = 50
"""Recipients in one message, as the fleet has it by default."""
TARGETS = Targets(workers=WORKERS, forking=WORKERS, helpers=(), redis=REDIS)
WHAT_IT_IS = "Plain Celery on Redis: late acknowledgement, reject on loss, prefetch 1, visibility timeout 10 s."


def stock_plan(settings: FleetSettings) -> Plan:  # noqa: ARG001
    """Plan four workers of plain Celery."""
    command = (sys.executable, "-m", "celery", "-A", "services.core.chaos.stock", "worker", "--concurrency=2")
    return Plan(
        processes=tuple(
            ProcessSpec(name, (*command, f"--hostname={name}@chaos", "--loglevel=INFO"), ready=logged(" ready."))
            for name in WORKERS
        )
    )


def play_stock(run: Run, home: Path, *, tell: Tell) -> Report:
    """Run a scenario on plain Celery; see ``scenario.play``."""
    with proxied_fleet(home, stock_plan, tell) as (fleet, proxies):
        return Course(run, _subject(run, fleet, proxies), tell).take()


def _subject(run: Run, fleet: LocalFleet, proxies: Mapping[str, Proxy]) -> Subject:
    mail = MailFolder(fleet.mail.folder)
    submitter = StockSubmitter(stock.stock(fleet.settings))
    return Subject(
        name=f"{run.scenario}, stock Celery",
        targets=TARGETS,
        faults=LocalFaults(fleet.services, proxies=proxies, redis_url=fleet.redis.url(), seed=run.seed),
        load=lambda plan: ThreadLoad(plan, submitter.submit, submitter.receipts),
        arrived=mail.read,
        check=lambda receipts: _check(receipts, mail, stock.done_folder(fleet.settings)),
        workers={},
        behind={REDIS: WORKERS},
        in_flight={name: lambda: 0 for name in WORKERS},
        gave_up=partial(gave_up, fleet),
        notes=(WHAT_IT_IS, "It has no metrics: which faults hit work in flight, and recovery, can't be seen."),
    )


class StockSubmitter:
    """Publishes the same shapes of work with plain Celery; a receipt is a publish that returned.

    Args:
        app: The app.
    """

    def __init__(self, app: Celery) -> None:
        self.receipts = Receipts()
        self._app = app

    def submit(self, submission: Submission) -> None:
        """Submit one thing, and keep its receipt."""
        match submission.what:
            case What.CAMPAIGN:
                self._submit_campaign(submission)
            case What.JOB:
                self._submit_job(submission)
            case What.MAIL:
                address = f"mail-{submission.number}@{samples.DOMAIN}"
                if self._published(self._signature(stock.SEND, [address])):
                    self.receipts.mails.append(MailReceipt(address, address))

    def _submit_campaign(self, submission: Submission) -> None:
        recipients = samples.addresses(submission.number, submission.size)
        for start in range(0, len(recipients), CHUNK):
            chunk = recipients[start : start + CHUNK]
            steps = [self._signature(stock.VALIDATE, chunk), self._signature(stock.SEND), self._signature(stock.RECORD)]
            if self._published(chain(*steps, app=self._app)):
                self.receipts.campaigns.append(CampaignReceipt(f"chaos-{submission.number}-{start}", chunk))

    def _submit_job(self, submission: Submission) -> None:
        job = f"job-{submission.number}"
        names = tuple(f"{number:04}" for number in range(1, submission.size + 1))
        members = [self._signature(stock.PROCESS, job, name) for name in names]
        body = self._app.signature(stock.MERGE, kwargs={"job": job})
        if self._published(chord(members, body, app=self._app)):
            self.receipts.jobs.append(JobReceipt(job, names, ""))

    def _signature(self, task: str, *arguments: Any) -> Any:
        return self._app.signature(task, args=arguments)

    def _published(self, canvas: Any) -> bool:
        try:
            canvas.apply_async()
        except Exception as error:  # noqa: BLE001 - whatever it raises, it is no receipt
            self.receipts.refused.append(repr(error)[:200])
            return False
        return True


def _check(receipts: Receipts, mail: MailFolder, folder: Path) -> Tally:
    tally = Tally(accepted=receipts.accepted)
    mail.read()
    addresses = [address for campaign in receipts.campaigns for address in campaign.addresses]
    for address in (*addresses, *(single.address for single in receipts.mails)):
        _count(tally, mail.messages(address), f"the mail to {address}")
    for job in receipts.jobs:
        for name in job.files:
            _count(tally, int((folder / job.id / f"{name}.done").exists()), f"{name} of {job.id}")
        _count(tally, len(list((folder / job.id).glob("merged-*"))), f"the body of {job.id}")
    return tally


def _count(tally: Tally, seen: int, what: str) -> None:
    if not seen:
        tally.lost.append(what)
        return
    tally.done += 1
    if seen > 1:
        tally.repeated.append(f"{what}: {seen} times")
