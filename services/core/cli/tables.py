"""How ``yard`` prints tables: in colour and folded to fit on a terminal, one aligned line a row into a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cache

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Cell = str | Text
WIDEST = 40
"""Columns that a cell in a pipe is padded to; a longer one is printed whole and moves its line along."""


@cache
def console() -> Console:
    """Return the console that output goes to."""
    return Console(highlight=False, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print rows under headings.

    Control characters, which the text of others may hold, are shown as escapes: they can't move the cursor.

    Args:
        columns: The headings.
        rows: A cell for each column.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _print_lines([list(columns), *([cell.plain for cell in row] for row in cells)])
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", header_style="dim")
    for row in cells:
        table.add_row(*row)
    console().print(table, soft_wrap=False)


def _print_lines(lines: list[list[str]]) -> None:
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def printable(cell: Cell) -> Text:
    """Return text whose control characters are shown as escapes: they can't move the cursor."""
    text = Text(cell) if isinstance(cell, str) else cell
    escaped = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text.plain
    )
    return Text(escaped, style=text.style)
