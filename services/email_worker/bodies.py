"""The bodies of a message as MIME parts, in an encoding that passes every relay."""

from __future__ import annotations

import binascii
from base64 import encodebytes

LONGEST_LINE = 78
"""Characters of a line that goes out as it is (RFC 5322, section 2.1.1)."""

LINE_END = b"\r\n"


def text_part(text: str, subtype: str) -> bytes:
    """Write a text with the headers that say how it is encoded, as a message or one of its parts.

    It goes out as it is where it is short lines of ASCII; else as quoted-printable or base64, whichever is shorter.
    Line breaks of every kind become CRLF, and the last line ends with one.

    Args:
        text: What the reader sees.
        subtype: ``plain`` or ``html``.

    Returns:
        ASCII without a bare CR or LF.
    """
    lines = text.encode().splitlines()
    body = LINE_END.join(lines) + LINE_END
    encoding, encoded = b"7bit", body
    if not body.isascii() or max(map(len, lines), default=0) > LONGEST_LINE:
        encoding, encoded = _encoded(body)
    return (
        b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: %b\r\n\r\n'
        % (subtype.encode(), encoding)
        + encoded
    )


def _encoded(body: bytes) -> tuple[bytes, bytes]:
    printable = binascii.b2a_qp(body)  # keeps line breaks as they are, and breaks lines as the first one is broken
    if 3 * len(printable) <= 4 * len(body):
        return b"quoted-printable", printable
    return b"base64", encodebytes(body).replace(b"\n", LINE_END)
