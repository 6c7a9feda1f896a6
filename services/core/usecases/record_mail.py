"""Record what became of a single mail."""

from __future__ import annotations

from services.core.ledger.engine import Ledger
from services.core.ledger.mails import end_mail
from services.core.ledger.states import State
from shared.reports import MailOutcome


def record_mail(ledger: Ledger, outcome: MailOutcome, mail_id: str) -> None:
    """Store the outcome of a mail; the second time it changes nothing.

    Raises:
        UnknownId: There is no such mail.
    """
    with ledger.writing() as session:
        target = State(outcome["status"])
        end_mail(session, mail_id, target, ledger.clock(), outcome["reason"], outcome["message_id"])
