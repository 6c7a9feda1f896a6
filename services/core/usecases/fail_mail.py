"""Record that a single mail failed."""

from __future__ import annotations

from services.core.ledger.engine import Ledger
from services.core.ledger.mails import end_mail
from services.core.ledger.states import State


def fail_mail(ledger: Ledger, mail_id: str, reason: str) -> None:
    """Mark a mail as failed, unless its outcome is known.

    Args:
        ledger: The ledger.
        mail_id: The mail.
        reason: Why it failed, as one sentence for a person.

    Raises:
        UnknownId: There is no such mail.
    """
    with ledger.writing() as session:
        end_mail(session, mail_id, State.FAILED, ledger.clock(), reason)
