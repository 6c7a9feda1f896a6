"""Find out in which encoding a text is, and read it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from charset_normalizer import from_bytes

from services.file_worker.limits import MIB
from services.file_worker.rejection import FileRejected

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""In this order, for the mark of UTF-32 begins with that of UTF-16."""

SAMPLE_BYTES = 64 * 1024
WESTERN = "cp1252"
"""What a browser takes ``latin-1`` for, of which it is a superset (WHATWG Encoding Standard, section 4.2)."""


def byte_order_mark(head: bytes) -> str | None:
    """Return the encoding that the first bytes announce, if they do."""
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS if head.startswith(mark)), None)


def find_encoding(path: Path) -> str:
    """Return the encoding of a text: what its byte order mark says, else UTF-8 if all of it is, else a guess.

    Raises:
        FileRejected: It is in no encoding that is known.
    """
    with path.open("rb") as stream:
        if announced := byte_order_mark(stream.read(4)):
            return announced
        stream.seek(0)
        invalid = _first_invalid_utf8(stream)
        if invalid is None:
            return "utf-8"
        stream.seek(max(0, invalid - SAMPLE_BYTES // 2))
        return _guess(stream.read(SAMPLE_BYTES))


@contextmanager
def open_text(path: Path, encoding: str, newline: str | None = None) -> Iterator[TextIO]:
    """Open a text for reading; bytes that do not fit its encoding are a :class:`FileRejected`."""
    try:
        with path.open(encoding=encoding, newline=newline) as stream:
            yield stream
    except UnicodeError as error:
        raise FileRejected(f"It has bytes that are not valid {encoding}.") from error


def refuse_nul(text: str) -> None:
    """Refuse a text with NUL characters, which nothing that reads texts expects.

    Raises:
        FileRejected: It has one.
    """
    if "\0" in text:
        raise FileRejected("It has NUL bytes, which no text has.")


def _first_invalid_utf8(stream: BinaryIO) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    try:
        while block := stream.read(MIB):
            decoder.decode(block)
            position += len(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return position + error.start
    return None


def _guess(sample: bytes) -> str:
    """Guess, in favour of Western texts: left alone, the library reads most of them as Central European or Baltic."""
    best = from_bytes(sample).best()
    if best is None:
        raise FileRejected("It is a text in no encoding that is known.")
    western = from_bytes(sample, cp_isolation=[WESTERN]).best()
    reads_as_well = western is not None and western.coherence >= best.coherence
    return WESTERN if reads_as_well else best.encoding
