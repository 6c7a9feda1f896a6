"""Take a single mail into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.core.ledger.engine import Ledger
from services.core.ledger.ids import new_id
from services.core.ledger.mails import add_mail
from services.core.ledger.models import SingleMail
from services.core.ledger.outbox import Outgoing, add_entries
from shared.reports import Mail


def submit_mail(
    ledger: Ledger,
    to: str,
    template: str,
    variables: Mapping[str, Any],
    *,
    mail_id: str | None = None,
    publish: Callable[[Mail], Outgoing] | None = None,
) -> Mail:
    """Record a mail as queued, and put what is to be published into the outbox.

    Args:
        ledger: The ledger; it keeps no variables, because they may be secret, beyond the moment of publishing.
        to: The address; whether it can be one is found out by the service that sends.
        template: The name of the template.
        variables: What the template needs.
        mail_id: An id for it, so that doing this again makes no second one; a new one without it.
        publish: Makes of the mail what is to be published.

    Returns:
        The mail; its ``key`` is its id in the ledger, and a good id for the task.
    """
    with ledger.writing() as session:
        now = ledger.clock()
        mail_id = mail_id or new_id("mail", now)
        mail: Mail = {"to": to, "template": template, "variables": dict(variables), "key": mail_id}
        if session.get(SingleMail, mail_id) is not None:
            return mail
        add_mail(session, mail_id, to, template, now)
        if publish is not None:
            add_entries(session, [publish(mail)], now)
    return mail
