"""Single mails: what is stored about them, and what may become of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.core.ledger import states
from services.core.ledger.errors import UnknownId
from services.core.ledger.models import SingleMail
from services.core.ledger.states import State


def add_mail(session: Session, mail_id: str, to: str, template: str, now: datetime) -> None:
    """Add a mail that is about to be queued; its variables are not kept, for they may be secret."""
    session.add(SingleMail(id=mail_id, to=to, template=template, status=states.MAIL.start, created_at=now))


def the_mail(session: Session, mail_id: str, *, lock: bool = False) -> SingleMail:
    """Find a mail; ``lock`` keeps other writers off it until the transaction ends.

    Raises:
        UnknownId: There is none.
    """
    mail = session.get(SingleMail, mail_id, with_for_update=lock)
    if mail is None:
        raise UnknownId("mail", mail_id)
    return mail


def end_mail(
    session: Session,
    mail_id: str,
    target: State,
    now: datetime,
    reason: str | None,
    message_id: str | None = None,
) -> None:
    """Move a mail to the status that it ended in, unless it is in a better one already.

    Raises:
        UnknownId: There is no such mail.
    """
    mail = the_mail(session, mail_id, lock=True)
    if states.MAIL.allows(mail.status, target):
        mail.status, mail.reason, mail.finished_at = target, reason, now
        mail.message_id = message_id or mail.message_id
