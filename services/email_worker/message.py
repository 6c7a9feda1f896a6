"""A rendered mail as an Internet message whose head nobody can add to."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import sha256

from services.email_worker.errors import InvalidAddress, UnsafeHeader
from services.email_worker.rendering import Rendered
from services.email_worker.validation import normalise
from shared.errors import InvalidSettings

POLICY = SMTP.clone(cte_type="7bit")
"""CRLF line ends, and bodies that pass any relay, 8BITMIME or not."""


def message_id(key: str, domain: str) -> str:
    """Return the Message-ID of an idempotency key: the same for every attempt to send that mail."""
    return f"<{sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def sender_address(setting: str) -> Address:
    """Read ``YARD_MAIL_SENDER``, which is ``Name <address>`` or an address alone.

    Raises:
        InvalidSettings: It is not exactly one address, or holds control characters.
    """
    try:
        _refuse_control_characters("From", setting)
        header = POLICY.header_factory("From", setting)
        _refuse_control_characters("From", str(header))
        (address,) = header.addresses
        username, _, domain = normalise(address.addr_spec).rpartition("@")
    except (InvalidAddress, UnsafeHeader, ValueError, IndexError) as error:
        raise InvalidSettings(
            f"YARD_MAIL_SENDER: wants one address, such as 'Shop <shop@example.org>' ({error})"
        ) from None
    return Address(address.display_name, username, domain)


def compose(mail: Rendered, *, sender: Address, recipient: str, message_id: str, bulk: bool) -> EmailMessage:
    """Build the message for one recipient.

    Args:
        mail: The rendered template.
        sender: From :func:`sender_address`.
        recipient: A normalised address.
        message_id: From :func:`message_id`.
        bulk: Mark the message as one of many, so that no out-of-office reply comes back (RFC 3834 and
            the older ``Precedence``).

    Raises:
        UnsafeHeader: Subject or address holds control characters, plain or hidden in an encoded word.
    """
    _refuse_control_characters("Subject", mail.subject)
    _refuse_control_characters("To", recipient)
    if "=?" in recipient:
        raise UnsafeHeader("To: an address may not hold an encoded word ('=?').")
    username, _, domain = recipient.rpartition("@")
    message = EmailMessage(policy=POLICY.clone(utf8=not recipient.isascii()))
    message["From"] = sender
    message["To"] = Address(username=username, domain=domain)
    message["Subject"] = mail.subject
    # Assigning has decoded any encoded word, and what was hidden in one would be written as it is.
    _refuse_control_characters("Subject", str(message["Subject"]))
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    if bulk:
        message["Precedence"] = "bulk"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


def _refuse_control_characters(header: str, value: str) -> None:
    """Refuse control characters (line breaks are some), lone surrogates and Unicode's line separators."""
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise UnsafeHeader(f"{header}: the character U+{ord(character):04X} cannot stand in a header.")
