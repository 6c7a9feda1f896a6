"""Reconciles what was accepted with the effects that are seen from outside, and both with the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.receipts import CampaignReceipt, JobReceipt, MailReceipt, Receipts
from services.core.chaos.tally import Tally
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import UnknownId
from services.core.ledger.states import State
from services.core.usecases.job_folder import JobFolder
from services.core.usecases.list_entries import list_recipients
from services.core.usecases.overview import job_overview, mail_overview
from services.core.usecases.records import FileEntry, JobOverview, RecipientEntry
from shared.storage import PARTIAL_SUFFIX, Storage, digest

PAGE = 1_000
ENDED = frozenset({State.DONE, State.DONE_WITH_FAILURES, State.FAILED})
NOT_MAILED = frozenset({State.FAILED, State.INVALID})


class Checker:
    """Counts what became of what was accepted.

    Args:
        ledger: The ledger of the fleet.
        storage: Where artefacts lie.
        mail: What has arrived.
    """

    def __init__(self, ledger: Ledger, storage: Storage, mail: MailFolder) -> None:
        self._ledger, self._storage, self._mail = ledger, storage, mail

    def check(self, receipts: Receipts) -> Tally:
        """Count everything anew.

        Args:
            receipts: What was accepted.

        Raises:
            LedgerUnavailable: The database is out of reach.
        """
        tally = Tally(accepted=receipts.accepted)
        self._mail.read()
        for campaign in receipts.campaigns:
            self._check_campaign(tally, campaign)
        for mail in receipts.mails:
            with _lost_if_unknown(tally):
                self._check_mail(tally, mail)
        for job in receipts.jobs:
            with _lost_if_unknown(tally):
                self._check_job(tally, job)
        return tally

    def _check_campaign(self, tally: Tally, campaign: CampaignReceipt) -> None:
        entries = {entry.address: entry for entry in self._recipients(campaign.id)}
        for address in campaign.addresses:
            self._check_recipient(tally, address, entries.get(address))

    def _check_recipient(self, tally: Tally, address: str, entry: RecipientEntry | None) -> None:
        arrived = self._mail.messages(address)
        if arrived > 1:
            tally.repeated.append(f"{address} got {arrived} messages")
        if entry is None or entry.status is State.PENDING:
            tally.lost.append(f"{address} has no outcome, and got {arrived} messages")
        elif entry.status is State.SENT and not arrived:
            tally.lost.append(f"{address} is recorded as sent, and got nothing")
        elif entry.status is State.SENT:
            tally.done += 1
        elif entry.status is State.UNKNOWN:
            tally.unknown.append(f"{address} ({'arrived' if arrived else 'did not arrive'}): {entry.reason}")
        else:
            tally.failed[str(entry.reason)] += 1
        if entry is not None and entry.status in NOT_MAILED and arrived:
            tally.contradicted.append(f"{address} is recorded as {entry.status}, and got {arrived} messages")

    def _check_mail(self, tally: Tally, mail: MailReceipt) -> None:
        entry = mail_overview(self._ledger, mail.id)
        arrived = self._count_urgent(tally, mail.address)
        if entry.status is State.QUEUED or (entry.status is State.SENT and not arrived):
            tally.lost.append(f"{mail.id} to {mail.address} is {entry.status}, and {arrived} messages arrived")
        elif entry.status is State.SENT:
            tally.done += 1
        elif entry.status is State.UNKNOWN:
            tally.unknown.append(f"{mail.address}: {entry.reason}")
        else:
            tally.failed[str(entry.reason)] += 1

    def _count_urgent(self, tally: Tally, address: str) -> int:
        arrived, identities = self._mail.messages(address), self._mail.identities(address)
        if identities > 1:
            tally.repeated.append(f"{address} got {identities} different mails")
        elif arrived > 1:
            tally.again.append(f"{address} got the same mail {arrived} times")
        return arrived

    def _check_job(self, tally: Tally, job: JobReceipt) -> None:
        view = job_overview(self._ledger, job.id, limit=len(job.files) + 1)
        entries = {entry.name: entry for entry in view.files.entries}
        for name in job.files:
            self._check_file(tally, job, name, entries.get(name))
        told = self._count_urgent(tally, job.notify)
        fault = self._fault_of_merge(job, view)
        if fault or not told:
            tally.lost.append(f"{job.id}: {fault or 'nobody was told of it'}")
        elif view.state is State.FAILED:
            tally.failed[str(view.reason)] += 1
        else:
            tally.done += 1
        folders = self._storage.path(JobFolder(job.id).root).rglob(f"*{PARTIAL_SUFFIX}")
        tally.left_behind += [str(folder) for folder in folders]

    def _check_file(self, tally: Tally, job: JobReceipt, name: str, entry: FileEntry | None) -> None:
        if entry is None or entry.status is State.WAITING:
            tally.lost.append(f"{name} of {job.id} has no outcome")
        elif entry.status is State.FAILED:
            tally.failed[str(entry.reason)] += 1
        elif wrong := next(self._wrong_artefacts(entry), None):
            tally.lost.append(f"{name} of {job.id}: {wrong}")
        else:
            tally.done += 1

    def _wrong_artefacts(self, entry: FileEntry) -> Iterator[str]:
        """Yield what is wrong with the artefacts of a file: each has to be there once, with its content."""
        if not entry.artefacts:
            yield "it has no artefacts"
        paths = [artefact["path"] for artefact in entry.artefacts]
        if len(set(paths)) < len(paths):
            yield "an artefact is recorded twice"
        for artefact in entry.artefacts:
            path = self._storage.path(artefact["path"])
            if not path.is_file():
                yield f"{artefact['path']} is not there"
            elif digest(path) != (artefact["bytes"], artefact["sha256"]):
                yield f"{artefact['path']} has not the content that is recorded"

    def _fault_of_merge(self, job: JobReceipt, view: JobOverview) -> str | None:
        if view.state not in ENDED:
            return f"its merge is {view.state}"
        missing = [path for path in view.outputs if not self._storage.path(path).is_file()]
        if missing:
            return f"{', '.join(missing)} is not there"
        manifest = json.loads(self._storage.path(JobFolder(job.id).manifest_json).read_bytes())
        listed = sorted(file["name"] for file in manifest["files"])
        return None if listed == sorted(job.files) else f"its manifest lists {len(listed)} of {len(job.files)} files"

    def _recipients(self, campaign_id: str) -> Iterator[RecipientEntry]:
        after: int | None = 0
        while after is not None:
            try:
                page = list_recipients(self._ledger, campaign_id, after=after, limit=PAGE)
            except UnknownId:
                return
            yield from page.entries
            after = page.after


@contextmanager
def _lost_if_unknown(tally: Tally) -> Iterator[None]:
    try:
        yield
    except UnknownId as error:
        tally.lost.append(str(error))
