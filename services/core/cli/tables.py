"""How ``yard`` prints tables: in colour on a terminal, as plain aligned lines into a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cache

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

WIDE = 10_000
"""Columns of a pipe: no line of it is ever folded, so that each row can be searched."""


@cache
def console() -> Console:
    """Return the console that output goes to."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, soft_wrap=False)


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]]) -> Table:
    """Return a table without lines.

    Args:
        columns: The headings.
        rows: A cell for each column; text of users is shown as it is, never read as markup.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", header_style="dim")
    for row in rows:
        table.add_row(*(_literal(cell) for cell in row))
    return table


def _literal(cell: RenderableType) -> RenderableType:
    return Text(cell) if isinstance(cell, str) else cell
