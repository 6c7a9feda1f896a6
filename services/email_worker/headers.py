"""Header fields, encoded and folded as RFC 5322 and RFC 2047 want them; a plain one costs next to nothing."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from email.headerregistry import Address
from email.policy import SMTP
from functools import lru_cache
from typing import Any

from services.email_worker.errors import UnsafeHeader
from services.email_worker.letter import is_plain

POLICY = SMTP.clone(cte_type="7bit")
"""CRLF line ends, and nothing but ASCII."""

LONGEST_LINE = 78
"""Characters of a line (RFC 5322, section 2.1.1)."""

WORD_BYTES = 39
"""Of text in an encoded word, so that its line has at most 76 characters (RFC 2047, section 2), with ``Subject: ``."""

_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
"""Words of ASCII with one space between them, which are written as they are read."""


def field(name: str, value: Any, *, utf8: bool = False) -> bytes:
    """Write a header field.

    Args:
        name: Its name.
        value: As ``EmailMessage`` takes it.
        utf8: Let what is not ASCII stay as it is (RFC 6532).
    """
    if isinstance(value, str) and _is_plain(name, value):
        return f"{name}: {value}\r\n".encode()
    return _folded(name, value, utf8=utf8)


def to(address: str) -> bytes:
    """Write ``To`` of one address.

    Raises:
        UnsafeHeader: The address holds control characters, plain or hidden in an encoded word.
    """
    if is_plain(address) and len(address) < LONGEST_LINE - len("To: "):
        return f"To: {address}\r\n".encode()
    refuse_control_characters("To", address)
    if "=?" in address:
        raise UnsafeHeader("To: an address may not hold an encoded word ('=?').")
    username, _, domain = address.rpartition("@")
    return _folded("To", Address(username=username, domain=domain), utf8=not address.isascii())


@lru_cache(maxsize=256)
def subject(text: str) -> bytes:
    """Write ``Subject``; many recipients have the same.

    Raises:
        UnsafeHeader: The text holds control characters, plain or hidden in an encoded word.
    """
    refuse_control_characters("Subject", text)
    if "=?" in text:
        # Whoever reads it decodes an encoded word, so what is hidden in one is looked at too.
        header = POLICY.header_factory("Subject", text)
        refuse_control_characters("Subject", str(header))
        return _folded("Subject", text)
    if text.isascii():
        return field("Subject", text)
    return b"Subject: " + b"\r\n ".join(map(_encoded_word, _pieces(text))) + b"\r\n"


def refuse_control_characters(header: str, value: str) -> None:
    """Refuse control characters (line breaks are some), lone surrogates and Unicode's line separators.

    Raises:
        UnsafeHeader: There is one; says which.
    """
    if value.isprintable():
        return
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise UnsafeHeader(f"{header}: the character U+{ord(character):04X} cannot stand in a header.")


def _is_plain(name: str, value: str) -> bool:
    fits = len(name) + len(": ") + len(value) <= LONGEST_LINE
    return fits and "=?" not in value and _PLAIN.fullmatch(value) is not None


def _folded(name: str, value: Any, *, utf8: bool = False) -> bytes:
    policy = POLICY.clone(utf8=utf8)
    folded: str = policy.fold(name, policy.header_factory(name, value))
    return folded.encode()


def _pieces(text: str) -> Iterator[bytes]:
    """Cut a text where no character is cut, for each encoded word is decoded by itself (RFC 2047, section 5)."""
    piece = b""
    for character in text:
        encoded = character.encode()
        if len(piece) + len(encoded) > WORD_BYTES:
            yield piece
            piece = b""
        piece += encoded
    yield piece


def _encoded_word(piece: bytes) -> bytes:
    return b"=?utf-8?b?" + b64encode(piece) + b"?="
