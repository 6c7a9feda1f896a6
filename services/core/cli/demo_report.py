"""What the demonstration ends with: tables of what happened, and whether it is what should have happened."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import cast

from services.core.cli.tables import console, print_table
from services.core.ledger.engine import Ledger, open_ledger
from services.core.ledger.states import State
from services.core.local.fleet import LocalFleet
from services.core.usecases.list_entries import list_recipients
from services.core.usecases.overview import overview
from services.core.usecases.records import FileEntry, JobOverview, RecipientEntry
from shared.events import Outcome
from shared.metrics import Reading, scrape
from shared.queues import QUEUES

MOST_FILES = 10_000


def print_report(fleet: LocalFleet, files: Path, campaign_id: str, owner: str) -> bool:
    """Print the tables; return whether files, recipients and mails became what they should.

    Args:
        fleet: The fleet that did the work; its workers are asked for their metrics.
        files: The folder of the example files, with what becomes of each beside it.
        campaign_id: The campaign.
        owner: Who was told of the file job.
    """
    ledger = open_ledger(fleet.settings.ledger_url)
    job = _the_job(ledger, fleet.settings.storage)
    recipients = list(_recipients(ledger, campaign_id))
    mails = Mails(fleet.mail.folder)
    expected: dict[str, str] = json.loads(files.with_name(f"{files.name}.expected.json").read_text())
    _print_queues(fleet)
    _print_files(job.files.entries)
    _print_recipients(recipients, mails)
    verdicts = {
        f"{len(expected)} files: each good one has its outputs, each bad one its reason": _files_are_right(
            job.files.entries, expected, fleet.settings.storage
        ),
        "each valid recipient has exactly one message, nobody else has any": mails.ids
        == Counter(entry.message_id for entry in recipients if entry.status is State.SENT),
        f"{owner} was told of the job once": mails.to_others(recipients) == {owner: 1},
    }
    for verdict, holds in verdicts.items():
        console().print(f"{'✓' if holds else '✗'} {verdict}")
    console().print(f"\nOutputs:  {fleet.settings.storage / job.outputs[0]} and beside it")
    console().print(f"Mail:     {fleet.mail.folder}")
    console().print(f"Logs:     {fleet.home / 'logs'}")
    return all(verdicts.values())


class Mails:
    """The messages that the mail catcher keeps."""

    def __init__(self, folder: Path) -> None:
        parse = BytesHeaderParser().parsebytes
        self._headers = [parse(path.read_bytes()) for path in folder.glob("*.eml")]
        self._campaign = [headers for headers in self._headers if headers["Precedence"] == "bulk"]
        self.ids = Counter(headers["Message-ID"] for headers in self._campaign)

    def to_others(self, recipients: list[RecipientEntry]) -> Counter[str]:
        """Count messages by envelope recipient, without those of the campaign."""
        campaign = {entry.message_id for entry in recipients}
        return Counter(headers["X-Envelope-To"] for headers in self._headers if headers["Message-ID"] not in campaign)


def _the_job(ledger: Ledger, storage: Path) -> JobOverview:
    (folder,) = (storage / "jobs").iterdir()
    # Folders below jobs/ bear the ids of jobs.
    return cast("JobOverview", overview(ledger, folder.name, limit=MOST_FILES))


def _recipients(ledger: Ledger, campaign_id: str) -> Iterator[RecipientEntry]:
    after: int | None = 0
    while after is not None:
        page = list_recipients(ledger, campaign_id, after=after, limit=1_000)
        yield from page.entries
        after = page.after


def _files_are_right(entries: tuple[FileEntry, ...], expected: Mapping[str, str], storage: Path) -> bool:
    if {entry.name: str(entry.status) for entry in entries} != expected:
        return False
    return all(
        entry.reason
        if entry.status is State.FAILED
        else entry.artefacts and all((storage / artefact["path"]).is_file() for artefact in entry.artefacts)
        for entry in entries
    )


def _print_queues(fleet: LocalFleet) -> None:
    rows = []
    for spec in QUEUES:
        port = fleet.process(spec.name).metrics_port
        totals = _totals(scrape(f"http://{fleet.settings.metrics_host}:{port}/metrics"))
        ended = {outcome: int(count) for outcome, count in totals.items() if outcome.startswith("ended ") and count}
        rows.append(
            (
                spec.name,
                str(spec.broker),
                str(sum(ended.values())),
                ", ".join(f"{count} {outcome.removeprefix('ended ')}" for outcome, count in ended.items()),
                _mean(totals, "celery_task_queue_wait_time"),
                _mean(totals, "celery_task_runtime"),
            )
        )
    print_table(("queue", "broker", "tasks", "outcomes", "mean wait", "mean run time"), rows)
    console().print()


def _totals(readings: list[Reading]) -> dict[str, float]:
    totals: defaultdict[str, float] = defaultdict(float)
    for reading in readings:
        ended = reading.name.removeprefix("celery_task_").removesuffix("_total")
        if ended in set(Outcome):
            totals[f"ended {ended}"] += reading.value
        else:
            totals[reading.name] += reading.value
    return totals


def _mean(totals: Mapping[str, float], histogram: str) -> str:
    count = totals.get(f"{histogram}_count", 0)
    return f"{totals[f'{histogram}_sum'] / count:.3f} s" if count else "–"


def _print_files(entries: tuple[FileEntry, ...]) -> None:
    by_kind: defaultdict[str, Counter[State]] = defaultdict(Counter)
    artefacts: Counter[str] = Counter()
    for entry in entries:
        kind = entry.kind or "not a known type"
        by_kind[kind][entry.status] += 1
        artefacts[kind] += len(entry.artefacts)
    rows = [
        (kind, str(counts[State.DONE]), str(counts[State.FAILED]), str(artefacts[kind]))
        for kind, counts in sorted(by_kind.items())
    ]
    print_table(("files", "done", "failed", "artefacts"), rows)
    console().print()


def _print_recipients(entries: list[RecipientEntry], mails: Mails) -> None:
    counts = Counter(entry.status for entry in entries)
    rows = [
        (str(status), str(count), str(sum(mails.ids[e.message_id] for e in entries if e.status is status)))
        for status, count in counts.items()
    ]
    print_table(("recipients", "number", "messages in the mail folder"), rows)
    console().print()
