"""Take a single mail into the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.ledger.engine import Ledger
from services.core.ledger.ids import new_id
from services.core.ledger.mails import add_mail
from shared.reports import Mail


def submit_mail(ledger: Ledger, to: str, template: str, variables: Mapping[str, Any]) -> Mail:
    """Record a mail as queued.

    Args:
        ledger: The ledger; it keeps no variables, because they may be secret.
        to: The address; whether it can be one is found out by the service that sends.
        template: The name of the template.
        variables: What the template needs.

    Returns:
        The mail to publish; its ``key`` is its id in the ledger, and a good id for the task.
    """
    with ledger.writing() as session:
        now = ledger.clock()
        mail_id = new_id("mail", now)
        add_mail(session, mail_id, to, template, now)
    return {"to": to, "template": template, "variables": dict(variables), "key": mail_id}
