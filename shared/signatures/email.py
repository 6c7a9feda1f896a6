"""Recipes for the tasks of ``email_worker``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Signature

from shared.names import QueueName, TaskName
from shared.reports import Chunk, Mail


def send(to: str, template: str, variables: Mapping[str, Any] | None = None, key: str | None = None) -> Signature:
    """Send one mail at once.

    Args:
        to: The address.
        template: The name of a template.
        variables: What the template needs.
        key: Identity of the mail: two with the same key are one mail.  The id of the task by default.

    Returns:
        A signature whose result is a ``shared.reports.MailOutcome``.
    """
    return send_mail(Mail(to=to, template=template, variables=dict(variables or {}), key=key))


def send_mail(mail: Mail) -> Signature:
    """Send one mail that is described already, as the previous step of a workflow may do."""
    return Signature(TaskName.EMAIL_SEND.value, args=(mail,))


def send_previous() -> Signature:
    """Send the mail that the previous step of a chain returns."""
    return Signature(TaskName.EMAIL_SEND.value)


def validate_chunk(chunk: Chunk, *, ask_dns: bool = False) -> Signature:
    """Validate the recipients of a chunk; the result is the chunk with the invalid ones taken out.

    Args:
        chunk: The recipients.
        ask_dns: Whether domains are looked up, which may take seconds each: such a chunk goes to the bulk
            queue, because checks without look-ups take a few milliseconds and others wait behind them.
    """
    options = {"queue": QueueName.EMAIL_BULK.value} if ask_dns else {}
    return Signature(TaskName.EMAIL_VALIDATE_CHUNK.value, args=(chunk,), options=options)


def send_chunk() -> Signature:
    """Send the mails of the chunk that the previous step returns; the result has the outcome of each."""
    return Signature(TaskName.EMAIL_SEND_CHUNK.value)
