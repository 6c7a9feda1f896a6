"""Statistics of one column of a table, cell by cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

CellType = Literal["integer", "number", "date", "text"]

ISO_DATE_LENGTH = len("2000-01-31")


def classify(cell: str) -> tuple[CellType, float | int]:
    """Return the narrowest type of a cell that is not empty, and its value where it is a number.

    A number with leading zeros is an identifier, such as a postcode, and hence a text.
    """
    digits = cell.lstrip("+-")
    if digits[:1].isalpha() or (digits[:1] == "0" and digits[1:2].isdigit()) or "_" in cell:
        return "text", 0.0
    try:
        value = float(cell)
    except ValueError:
        return ("date" if _is_date(cell) else "text"), 0.0
    if not math.isfinite(value):
        return "text", 0.0
    return ("integer", int(cell)) if digits.isdecimal() else ("number", value)


def _is_date(cell: str) -> bool:
    if len(cell) != ISO_DATE_LENGTH or cell[4] != "-":
        return False
    try:
        date.fromisoformat(cell)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class Column:
    """A column of a table; its type is the narrowest that fits every cell that is not empty."""

    name: str
    type: CellType | None = None
    count: int = 0
    empty: int = 0
    mean: float = 0.0
    lowest: float | int = math.inf
    highest: float | int = -math.inf
    earliest: str = ""
    latest: str = ""
    shortest: int = 0
    longest: int = 0

    def add(self, cell: str) -> None:
        """Take a further cell into account."""
        cell = cell.strip()
        if not cell:
            self.empty += 1
            return
        self.count += 1
        length = len(cell)
        self.shortest = length if self.count == 1 else min(self.shortest, length)
        self.longest = max(self.longest, length)
        if self.type != "text":
            self._add_typed(cell)

    def _add_typed(self, cell: str) -> None:
        cell_type, value = classify(cell)
        self.type = _wider(self.type, cell_type)
        if cell_type == "date":
            self.earliest = min(self.earliest or cell, cell)
            self.latest = max(self.latest, cell)
        elif cell_type != "text":
            self.lowest = min(self.lowest, value)
            self.highest = max(self.highest, value)
            self.mean += value / self.count - self.mean / self.count  # a sum might overflow

    def statistics(self) -> dict[str, Any]:
        """Return what is known of the column, as JSON; minimum, maximum and mean for what has them."""
        known = {"name": self.name, "type": self.type, "count": self.count, "empty": self.empty}
        match self.type:
            case "integer" | "number":
                return known | {"min": self.lowest, "max": self.highest, "mean": self.mean}
            case "date":
                return known | {"min": self.earliest, "max": self.latest}
            case "text":
                return known | {"shortest": self.shortest, "longest": self.longest}
            case None:
                return known


def _wider(known: CellType | None, other: CellType) -> CellType:
    if known is None or known == other:
        return other
    return "number" if {known, other} == {"integer", "number"} else "text"
