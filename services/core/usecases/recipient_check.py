"""Check every row of a recipient list, and tell which are bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email

from services.core.ledger.errors import InvalidRecipientList
from services.core.usecases.recipient_list import RecipientList

TOLD = 100
"""Bad rows that are told; that there are more is told, too."""


class BadRow(NamedTuple):
    """A row that can't be used."""

    line: int
    """Where it is in the file, from 1."""
    address: str
    reason: str


class BadRows(InvalidRecipientList):
    """Rows of a list can't be used; nothing was recorded."""

    def __init__(self, name: str, rows: Sequence[BadRow], *, more: bool) -> None:
        count = f"{'More than ' if more else ''}{len(rows)} {'row' if len(rows) == 1 else 'rows'}"
        super().__init__(
            f"{count} of {name} can't be used, the first in line {rows[0].line}: {rows[0].reason} "
            "Correct the list, or have bad addresses recorded as invalid."
        )
        self.rows = rows
        self.more = more


def check_rows(recipients: RecipientList) -> None:
    """Check every row of a list.

    Raises:
        BadRows: Some have no address, one that can't be, or more cells than the header.
    """
    bad: list[BadRow] = []
    for row in _bad_rows(recipients):
        if len(bad) == TOLD:
            raise BadRows(recipients.path.name, bad, more=True)
        bad.append(row)
    if bad:
        raise BadRows(recipients.path.name, bad, more=False)


def _bad_rows(recipients: RecipientList) -> Iterator[BadRow]:
    line = 1
    try:
        for line, cells in recipients.lines():
            address = cells[recipients.address_at].strip() if recipients.address_at < len(cells) else ""
            if reason := _reason(recipients, address, cells):
                yield BadRow(line, address, reason)
    except InvalidRecipientList as error:  # after which nobody can tell where the next row begins
        yield BadRow(line + 1, "", str(error))


def _reason(recipients: RecipientList, address: str, cells: Sequence[str]) -> str | None:
    if any(cell.strip() for cell in cells[len(recipients.columns) :]):
        return f"It has {len(cells)} cells, but the header has {len(recipients.columns)}."
    if not address:
        return "It has no address."
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        return str(error)
    return None
