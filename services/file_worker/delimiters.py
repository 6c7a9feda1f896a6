"""Find out what separates the columns of a table."""

from __future__ import annotations

import csv

DELIMITERS = ",;\t|"
SAMPLED_ROWS = 50
FEWEST_ROWS = 3
"""Fewer rows that agree on a number of columns may be prose with commas."""


def find_delimiter(text: str) -> str | None:
    """Return the delimiter by which the first rows of a text fall into the same number of columns, two or more.

    Args:
        text: The beginning of a file; its last row may be cut off and is not looked at when there are others.

    Returns:
        The delimiter that gives the most columns; ``None`` where no delimiter makes a table of the text.
    """
    lines = text.splitlines(keepends=True)[: SAMPLED_ROWS + 1]
    rows = lines[:-1] if len(lines) > FEWEST_ROWS else lines
    columns = {delimiter: _columns(rows, delimiter) for delimiter in DELIMITERS}
    best = max(columns, key=lambda delimiter: columns[delimiter])
    return best if columns[best] > 1 else None


def _columns(lines: list[str], delimiter: str) -> int:
    """Return how many columns every row has, 0 where the rows differ or are too few."""
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return 0
    return widths[0] if len(widths) >= FEWEST_ROWS and len(set(widths)) == 1 else 0
