"""A message as SMTP sees it: an envelope and bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_PLAIN = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True)
class Letter:
    """A message for one recipient, ready to be handed over."""

    sender: str
    recipient: str
    message_id: str
    content: bytes
    """Head and body, with CRLF at the end of each line, of the last one too."""

    @property
    def international(self) -> bool:
        """Whether an address of the envelope is not ASCII."""
        return not (self.recipient.isascii() and self.sender.isascii())

    @cached_property
    def data(self) -> bytes:
        """What follows ``DATA``, the mark of its end included (RFC 5321, section 4.5.2)."""
        content = self.content
        return (content.replace(b"\n.", b"\n..") if b"\n." in content else content) + b".\r\n"


def is_plain(address: str) -> bool:
    """Tell whether an address can be written everywhere as it is, without quotes or encoding."""
    return _PLAIN.fullmatch(address) is not None
