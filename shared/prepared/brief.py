"""How arguments are shown to people: as Celery's ``saferepr`` does, for ordinary ones at a fraction of its cost."""

from __future__ import annotations

from typing import Any

from celery.utils.saferepr import saferepr

AS_THEY_ARE = frozenset({int, float, bool, type(None)})


def brief(value: Any, most: int, levels: int) -> str:
    """Return what ``saferepr`` returns.

    It takes 4 µs for ``(1,)`` and 21 µs for three arguments with a dictionary among them; ``repr`` takes 1.  The two
    agree on lists, tuples and dictionaries of numbers and of text without quotes and escapes.

    Args:
        value: Arguments of a task.
        most: The length from which it is shortened.
        levels: How deep containers may lie in each other.
    """
    if is_ordinary(value, levels):
        text = repr(value)
        # A text with a quote in it is shown between others by ``repr``; one with a backslash is escaped, or was.
        if len(text) < most and '"' not in text and "\\" not in text:
            return text
    return str(saferepr(value, maxlen=most, maxlevels=levels))


def is_ordinary(value: Any, levels: int) -> bool:
    """Tell whether a value is made of what both show alike, no deeper than so many levels."""
    kind = type(value)
    if kind is str or kind in AS_THEY_ARE:
        return True
    if levels < 1:
        return False
    if kind is dict:
        return all(type(key) is str for key in value) and all(is_ordinary(each, levels - 1) for each in value.values())
    return kind in (tuple, list) and all(is_ordinary(each, levels - 1) for each in value)
