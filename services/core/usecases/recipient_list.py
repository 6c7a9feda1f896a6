"""Reads a CSV of recipients, as people have them: from a spreadsheet, in one of three encodings."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from services.core.ledger.campaigns import ListSummary
from services.core.ledger.errors import InvalidRecipientList

ADDRESS_COLUMNS = ("email", "address")
"""In a list that has both, ``address`` is where a person lives."""
DELIMITERS = (",", ";", "\t")
"""What spreadsheets write, depending on the language of the system."""
LONGEST_ADDRESS = 320
"""A local part of 64 characters, an ``@``, a domain of 255: RFC 5321, section 4.5.3.1."""
BLOCK_BYTES = 1024 * 1024
LONGEST_ROW_BYTES = 15 * 1024
"""Fifty of them, a chunk of the fewest, fill three quarters of the usual bound of a message."""

BYTES_PER_CHARACTER = 12
"""What a character has at most as JSON: an é is \\u00e9, and an emoji two of these."""
CHARACTERS_BESIDE = 8
"""What a cell has beside itself and its name, quotes and commas, and then some."""


class Row(NamedTuple):
    """One recipient of a list."""

    address: str
    address_key: str
    variables: dict[str, str]


@dataclass(frozen=True, slots=True)
class RecipientList:
    """A CSV file whose form is known; its rows are read from the file each time and never held."""

    path: Path
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    address_at: int
    longest_row: int = LONGEST_ROW_BYTES
    """How many bytes a row may have as JSON: a chunk of them travels as one message."""

    def rows(self) -> Iterator[Row | None]:
        """Read one row after the other; ``None`` stands for a row that has other values but no address.

        Raises:
            InvalidRecipientList: A row is malformed; the message names its line.
        """
        certain = self._certainly_short()
        for line, cells in self.lines():
            if any(cell.strip() for cell in cells[len(self.columns) :]):
                raise InvalidRecipientList(
                    f"{self.path.name}, line {line}: {len(cells)} cells, but the header has "
                    f"{len(self.columns)}. Put values that contain {self.delimiter!r} into double quotes."
                )
            row = self._row(cells + [""] * (len(self.columns) - len(cells)))
            short = sum(map(len, cells)) <= certain
            if row is not None and not short and (size := len(json.dumps(row))) > self.longest_row:
                raise InvalidRecipientList(
                    f"{self.path.name}, line {line}: {size} bytes, and {self.longest_row} is the most. Move long texts "
                    "into the template, or allow smaller chunks (YARD_CAMPAIGN_CHUNK_SIZE) or larger messages "
                    "(YARD_MESSAGE_MAX_BYTES)."
                )
            yield row

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Read one row after the other as it stands, without the header, each with the number of its line.

        Raises:
            InvalidRecipientList: A row is malformed; the message names its line.
        """
        return _lines(self.path, self.encoding, self.delimiter, skip_header=True)

    def _certainly_short(self) -> int:
        """Return how many characters the cells of a row may have, so that it need not be encoded to be measured."""
        names = sum(map(len, self.columns))
        # The address is in it twice.
        return (self.longest_row // BYTES_PER_CHARACTER - names) // 2 - len(self.columns) * CHARACTERS_BESIDE

    def _row(self, cells: list[str]) -> Row | None:
        address = cells[self.address_at].strip()
        if not address:
            return None
        variables = {
            column: cell
            for at, (column, cell) in enumerate(zip(self.columns, cells, strict=False))
            if column and at != self.address_at
        }
        return Row(address, address_key(address), variables)


def open_recipient_list(path: Path, longest_row: int = LONGEST_ROW_BYTES) -> RecipientList:
    """Find out the encoding, the delimiter and the columns of a list.

    Args:
        path: A CSV file with a header, in UTF-8 (with or without a byte order mark) or Latin-1.  The addresses
            are in its column ``email`` or ``address``, the other columns are variables of the template.
        longest_row: How many bytes a row may have as JSON.

    Raises:
        InvalidRecipientList: It cannot be read, or has no such header.
    """
    encoding = _sniff_encoding(path)
    delimiter = _sniff_delimiter(path, encoding)
    _, header = next(_lines(path, encoding, delimiter), (0, []))
    columns = tuple(cell.strip() for cell in header)
    names = [column for column in columns if column]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRecipientList(f"{path.name} has two columns {name!r}; give them different names.")
    return RecipientList(path, encoding, delimiter, columns, _address_column(path, columns), longest_row)


def summarise(recipients: RecipientList) -> ListSummary:
    """Read a list to its end, so that nothing of it is recorded before all of it is known to be well-formed.

    Raises:
        InvalidRecipientList: A row is malformed, or no row has an address.
    """
    rows = without_address = 0
    seen: set[bytes] = set()
    for row in recipients.rows():
        if row is None:
            without_address += 1
            continue
        rows += 1
        seen.add(hashlib.blake2b(row.address_key.encode(), digest_size=16).digest())
    if not seen:
        raise InvalidRecipientList(f"{recipients.path.name} has no recipients.")
    return ListSummary(
        name=recipients.path.name,
        digest=hashlib.sha256(b"".join(sorted(seen))).hexdigest(),
        recipients=len(seen),
        duplicates=rows - len(seen),
        without_address=without_address,
    )


def address_key(address: str) -> str:
    """Normalise an address for comparison: the domain in lower case, the local part as it is.

    RFC 5321, section 2.4: local parts are case-sensitive, domains are not.  What is too long to be an address
    is compared by its hash, because it does not fit an index.
    """
    local, at, domain = address.rpartition("@")
    key = f"{local}{at}{unicodedata.normalize('NFC', domain).lower()}" if at else address
    return key if len(key) <= LONGEST_ADDRESS else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _sniff_encoding(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding = "utf-8-sig"
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                if b"\0" in block:
                    raise InvalidRecipientList(f"{path.name} is not text in UTF-8 or Latin-1; save it as CSV in UTF-8.")
                if encoding == "utf-8-sig" and not _decodes(decoder, block):
                    encoding = "latin-1"
    except OSError as error:
        raise InvalidRecipientList(f"{path} cannot be read: {error.strerror}.") from None
    return encoding if _decodes(decoder, b"", final=True) else "latin-1"


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _sniff_delimiter(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding, newline="") as file:
        first = next((line for line in file if line.strip()), "")
    return max(DELIMITERS, key=first.count)


def _lines(path: Path, encoding: str, delimiter: str, *, skip_header: bool = False) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
        try:
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if skip_header:
                    skip_header = False
                    continue
                yield reader.line_num, cells
        except csv.Error as error:
            raise InvalidRecipientList(f"{path.name}, line {reader.line_num}: {error}.") from None


def _address_column(path: Path, columns: tuple[str, ...]) -> int:
    lowered = [column.lower() for column in columns]
    for name in ADDRESS_COLUMNS:
        if name in lowered:
            return lowered.index(name)
    raise InvalidRecipientList(
        f"{path.name} needs a header with a column 'email' or 'address'; "
        f"its first line has {', '.join(map(repr, columns)) or 'nothing'}."
    )
