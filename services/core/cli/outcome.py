"""Prints what became of a job, a campaign or a mail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from services.core.cli.tables import console, print_table
from services.core.ledger.engine import Ledger
from services.core.ledger.states import State
from services.core.usecases.list_entries import list_recipients
from services.core.usecases.overview import Overview
from services.core.usecases.records import CampaignOverview, JobOverview, MailOverview, RecipientEntry
from shared.settings import load_settings

PAGE = 1_000
COLOURS = {
    State.DONE: "green",
    State.SENT: "green",
    State.DONE_WITH_FAILURES: "yellow",
    State.FAILED: "red",
    State.INVALID: "red",
    State.UNKNOWN: "magenta",
    State.CANCELLED: "yellow",
    State.PAUSED: "cyan",
}


def print_outcome(ledger: Ledger, view: Overview, *, everything: bool) -> None:
    """Print a job with its files, a campaign with its recipients, or a mail.

    Args:
        ledger: The ledger, for the pages that the view does not hold.
        view: How it stands.
        everything: List every recipient of a campaign, not only those whose mail did not go out.
    """
    match view:
        case JobOverview():
            _print_job(view)
        case CampaignOverview():
            _print_campaign(ledger, view, everything=everything)
        case MailOverview():
            _print_mail(view)


def coloured(state: State) -> Text:
    """Return a state in its colour."""
    return Text(str(state).replace("_", " "), style=COLOURS.get(state, ""))


def _print_job(view: JobOverview) -> None:
    rows = [
        (coloured(file.status), file.name, file.media_type or "?", _what_became(file.reason, file.artefacts))
        for file in view.files.entries
    ]
    print_table(("outcome", "file", "true type", "artefacts, or why not"), rows)
    if view.files.after:
        console().print(f"… and more: {view.progress.total} files in all.")
    _print_summary(view.id, view.state, view.counts)
    if view.reason:
        console().print(f"Why: {view.reason}")
    root = load_settings().storage
    for path in view.outputs:
        console().print(f"  {root / path}")


def _what_became(reason: str | None, artefacts: Iterable[object]) -> str:
    return reason or ", ".join(artefact["role"] for artefact in artefacts)  # type: ignore[index]


def _print_campaign(ledger: Ledger, view: CampaignOverview, *, everything: bool) -> None:
    entries = _every_recipient(ledger, view.id) if everything else iter(view.failures.entries)
    rows = [(coloured(entry.status), entry.address, entry.reason or entry.message_id or "") for entry in entries]
    if rows:
        print_table(("outcome", "recipient", "why, or Message-ID"), rows)
    if view.failures.after and not everything:
        console().print("… and more; --all lists every recipient.")
    _print_summary(view.id, view.state, view.counts)


def _every_recipient(ledger: Ledger, campaign_id: str) -> Iterator[RecipientEntry]:
    after: int | None = 0
    while after is not None:
        page = list_recipients(ledger, campaign_id, after=after, limit=PAGE)
        yield from page.entries
        after = page.after


def _print_mail(view: MailOverview) -> None:
    rows = [(coloured(view.status), view.to, view.template, view.reason or view.message_id or "")]
    print_table(("outcome", "to", "template", "why, or Message-ID"), rows)
    _print_summary(view.id, view.status, {})


def _print_summary(wanted: str, state: State, counts: dict[State, int]) -> None:
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    console().print(Text.assemble((wanted, "bold"), ": ", coloured(state), f" ({told})" if told else ""))
