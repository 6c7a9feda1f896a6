"""Outcomes: what became of the mails of a chunk, and which news about a recipient counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from services.core.ledger import states
from services.core.ledger.errors import UnknownId
from services.core.ledger.models import CampaignRecipient
from services.core.ledger.states import State
from shared.reports import Chunk, RecipientOutcome

NO_OUTCOME = "The chunk came back without an outcome for this recipient; the relay may have the mail."


def record_outcomes(session: Session, chunk: Chunk, now: datetime) -> None:
    """Store the outcome of each recipient of a chunk; what was decided before stays.

    Recipients of the chunk that are still pending afterwards become ``unknown``.

    Raises:
        UnknownId: A recipient is none of this campaign; nothing was recorded.
    """
    outcomes = {outcome["recipient_id"]: outcome for outcome in chunk["outcomes"]}
    standing = _standing(session, chunk["campaign_id"], outcomes)
    changes = [
        _columns(outcomes[recipient], now)
        for recipient, (status, number) in standing.items()
        if accepts(status, State(outcomes[recipient]["status"]), own_chunk=number == chunk["number"])
    ]
    if changes:
        statement = update(CampaignRecipient).where(CampaignRecipient.id == bindparam("key"))
        session.connection().execute(statement, changes)
    decide_rest(session, chunk["campaign_id"], chunk["number"], State.UNKNOWN, NO_OUTCOME, now)


def accepts(status: State, outcome: State, *, own_chunk: bool) -> bool:
    """Say whether an outcome changes a recipient.

    A failure speaks for its own chunk only: the recipient may be in a later one that tries again.  Any other
    outcome is true of the recipient, whichever chunk it comes from.
    """
    return states.RECIPIENT.allows(status, outcome) and (own_chunk or outcome is not State.FAILED)


def decide_rest(session: Session, campaign_id: str, number: int, status: State, reason: str, now: datetime) -> None:
    """Give the recipients of a chunk that are still pending one outcome, in one statement."""
    session.execute(
        update(CampaignRecipient)
        .where(
            CampaignRecipient.campaign_id == campaign_id,
            CampaignRecipient.chunk_number == number,
            CampaignRecipient.status == State.PENDING,
        )
        .values(status=status, reason=reason, decided_at=now),
        execution_options={"synchronize_session": False},
    )


def _standing(session: Session, campaign_id: str, recipients: Iterable[int]) -> dict[int, tuple[State, int | None]]:
    wanted = sorted(recipients)
    rows = session.execute(
        select(CampaignRecipient.id, CampaignRecipient.status, CampaignRecipient.chunk_number).where(
            CampaignRecipient.campaign_id == campaign_id, CampaignRecipient.id.in_(wanted)
        )
    )
    standing = {recipient: (status, number) for recipient, status, number in rows}
    for unknown in wanted:
        if unknown not in standing:
            raise UnknownId(f"recipient of campaign {campaign_id!r}", str(unknown))
    return standing


def _columns(outcome: RecipientOutcome, now: datetime) -> dict[str, Any]:
    return {
        "key": outcome["recipient_id"],
        "status": State(outcome["status"]),
        "reason": outcome["reason"],
        "message_id": outcome["message_id"],
        "decided_at": now,
    }
