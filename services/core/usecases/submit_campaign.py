"""Take a recipient list into the ledger, as a new campaign or as more of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from services.core.ledger.campaigns import (
    Added,
    ListSummary,
    add_recipients,
    begin_loading,
    campaign_with,
    refresh_state,
    the_campaign,
)
from services.core.ledger.chunks import cut_chunks, waiting_recipients
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import CampaignSeemsRepeated, WrongState
from services.core.ledger.ids import checked_campaign_id, new_id
from services.core.ledger.outbox import Outgoing, add_entries
from services.core.ledger.states import State
from services.core.usecases import chunk_sizes
from services.core.usecases.recipient_list import RecipientList, Row, open_recipient_list, summarise
from shared.bounds import MESSAGE_BYTES

BATCH = 2_000
"""Recipients per transaction: tens of milliseconds, so that other writers of an SQLite ledger get their turn."""


@dataclass(frozen=True, slots=True)
class SubmittedCampaign:
    """What a list added to a campaign."""

    campaign_id: str
    state: State
    new: int
    retried: int
    """Recipients that had failed and are pending again."""
    unchanged: int
    """Recipients that were in the campaign already and are under way, sent, invalid or unknown."""
    duplicates: int
    without_address: int


def submit_campaign(
    ledger: Ledger,
    path: Path,
    template: str,
    campaign_id: str | None = None,
    *,
    again: bool = False,
    id_if_new: str | None = None,
    chunk_size: int | None = None,
    message_bytes: int = MESSAGE_BYTES,
    publish: Callable[[str], Outgoing] | None = None,
) -> SubmittedCampaign:
    """Take a recipient list into the ledger; nothing is sent before all of it is there.

    The id is the identity: the same id again adds recipients that are new and those that failed, and nothing
    else.  A run that is cut off is completed by running it again with the same id.

    Args:
        ledger: The ledger.
        path: The list; see ``open_recipient_list``.
        template: The name of the template to mail.
        campaign_id: The identity of the campaign; a new one is made when there is none.
        again: Without an id, make a new campaign even of a list that was mailed this template before.
        id_if_new: The id of the new campaign where there is none, so that doing this again makes no second one.
        chunk_size: How many recipients travel in one message; without it the length of the list decides.
        message_bytes: How large a message may be; recipients may fill three quarters of it.
        publish: Makes of the campaign's id what is to be published to have it advanced.

    Raises:
        InvalidRecipientList: The list cannot be read; nothing was recorded.
        InvalidSubmission: The id cannot be one; nothing was recorded.
        TemplateDiffers: The id belongs to a mailing of another template; nothing was recorded.
        WrongState: The campaign was cancelled, before or meanwhile; nothing more was recorded.
        CampaignSeemsRepeated: There is no id, and the list was mailed this template; nothing was recorded.
        LedgerUnavailable: The database is out of reach; run it again with the same id.
    """
    if campaign_id is not None:
        checked_campaign_id(campaign_id)
    recipients = open_recipient_list(path, chunk_sizes.longest_row(message_bytes, chunk_size))
    summary = summarise(recipients)
    campaign_id = _begin(ledger, campaign_id, id_if_new, template, summary, again=again)
    added = _load(ledger, campaign_id, recipients)
    _cut_all(ledger, campaign_id, chunk_size, message_bytes)
    return SubmittedCampaign(
        campaign_id=campaign_id,
        state=_start(ledger, campaign_id, publish),
        new=added.new,
        retried=added.retried,
        unchanged=summary.recipients - added.new - added.retried,
        duplicates=summary.duplicates,
        without_address=summary.without_address,
    )


def _begin(
    ledger: Ledger, campaign_id: str | None, id_if_new: str | None, template: str, summary: ListSummary, *, again: bool
) -> str:
    with ledger.writing() as session:
        now = ledger.clock()
        if campaign_id is None:
            earlier = campaign_with(session, summary.digest, template)
            if earlier is not None and earlier != id_if_new and not again:
                raise CampaignSeemsRepeated(earlier)
            campaign_id = id_if_new or new_id("campaign", now)
        begin_loading(session, campaign_id, template, summary, now)
        return campaign_id


def _load(ledger: Ledger, campaign_id: str, recipients: RecipientList) -> Added:
    new = retried = 0
    for batch in _batches(recipients.rows()):
        with ledger.writing() as session:
            _lock(session, campaign_id)
            added = add_recipients(session, campaign_id, batch)
        new, retried = new + added.new, retried + added.retried
    return Added(new, retried)


def _batches(rows: Iterator[Row | None]) -> Iterator[list[dict[str, Any]]]:
    # Within a batch the first of equal addresses counts; across batches the ledger sees to that.
    batch: dict[str, Row] = {}
    for row in rows:
        if row is not None:
            batch.setdefault(row.address_key, row)
        if len(batch) == BATCH:
            yield [row._asdict() for row in batch.values()]
            batch.clear()
    yield [row._asdict() for row in batch.values()]


def _cut_all(ledger: Ledger, campaign_id: str, asked: int | None, message_bytes: int) -> None:
    with ledger.reading() as session:
        size = chunk_sizes.chunk_size(waiting_recipients(session, campaign_id), message_bytes, asked)
    while _cut(ledger, campaign_id, size):
        pass


def _cut(ledger: Ledger, campaign_id: str, size: int) -> int:
    with ledger.writing() as session:
        _lock(session, campaign_id)
        return cut_chunks(session, campaign_id, size, most=max(1, BATCH // size))


def _lock(session: Session, campaign_id: str) -> None:
    # Whoever cancels it calls off what is there by then; what came later would stay pending for good.
    campaign = the_campaign(session, campaign_id, lock=True)
    if campaign.state is State.CANCELLED:
        raise WrongState("campaign", campaign_id, campaign.state, "loaded")


def _start(ledger: Ledger, campaign_id: str, publish: Callable[[str], Outgoing] | None) -> State:
    with ledger.writing() as session:
        campaign = the_campaign(session, campaign_id, lock=True)
        now = ledger.clock()
        refresh_state(session, campaign, now)
        if campaign.state is State.RUNNING and publish is not None:
            add_entries(session, [publish(campaign_id)], now)
        return campaign.state
