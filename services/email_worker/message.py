"""A rendered mail as an Internet message whose head nobody can add to."""

from __future__ import annotations

from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from secrets import token_hex
from time import time

from services.email_worker import headers
from services.email_worker.bodies import text_part
from services.email_worker.errors import InvalidAddress, UnsafeHeader
from services.email_worker.letter import Letter
from services.email_worker.rendering import Rendered
from services.email_worker.validation import normalise
from shared.errors import InvalidSettings


def message_id(key: str, domain: str) -> str:
    """Return the Message-ID of an idempotency key: the same for every attempt to send that mail."""
    return f"<{sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def sender_address(setting: str) -> Address:
    """Read ``YARD_MAIL_SENDER``, which is ``Name <address>`` or an address alone.

    Raises:
        InvalidSettings: It is not exactly one address, or holds control characters.
    """
    try:
        headers.refuse_control_characters("From", setting)
        header = headers.POLICY.header_factory("From", setting)
        headers.refuse_control_characters("From", str(header))
        (address,) = header.addresses
        username, _, domain = normalise(address.addr_spec).rpartition("@")
    except (InvalidAddress, UnsafeHeader, ValueError, IndexError) as error:
        raise InvalidSettings(
            f"YARD_MAIL_SENDER: wants one address, such as 'Shop <shop@example.org>' ({error})"
        ) from None
    return Address(address.display_name, username, domain)


class Skeleton:
    """What all messages of one kind have in common, written once; each recipient's own is filled in.

    Args:
        sender: From :func:`sender_address`.
        bulk: Mark the messages as some of many, so that no out-of-office reply comes back (RFC 3834 and
            the older ``Precedence``).
    """

    def __init__(self, sender: Address, *, bulk: bool) -> None:
        self._sender = sender.addr_spec
        self._from = headers.field("From", sender)
        self._marks = b"Auto-Submitted: auto-generated\r\n" + (b"Precedence: bulk\r\n" if bulk else b"")

    def fill(self, mail: Rendered, recipient: str, message_id: str) -> Letter:
        """Write the message for one recipient.

        Args:
            mail: The rendered template.
            recipient: A normalised address.
            message_id: From :func:`message_id`.

        Raises:
            UnsafeHeader: Subject or address holds control characters, plain or hidden in an encoded word.
        """
        content = b"".join(
            (
                self._from,
                headers.to(recipient),
                headers.subject(mail.subject),
                _date(int(time())),
                headers.field("Message-ID", message_id),
                self._marks,
                b"MIME-Version: 1.0\r\n",
                _body(mail),
            )
        )
        return Letter(self._sender, recipient, message_id, content)


@lru_cache(maxsize=1)
def _date(timestamp: int) -> bytes:
    return b"Date: %b\r\n" % format_datetime(datetime.fromtimestamp(timestamp, UTC)).encode()


def _body(mail: Rendered) -> bytes:
    text = text_part(mail.text, "plain")
    if mail.html is None:
        return text
    # Drawn when the parts are there already, so that nobody can have written it into one (RFC 2046, section 5.1.1).
    boundary = f"=_{token_hex(16)}".encode()
    return b'Content-Type: multipart/alternative; boundary="%b"\r\n\r\n--%b\r\n%b\r\n--%b\r\n%b\r\n--%b--\r\n' % (
        boundary,
        boundary,
        text,
        boundary,
        text_part(mail.html, "html"),
        boundary,
    )
