"""Tells the store of chords that what is published may have been published before, with the same ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_repeating: ContextVar[bool] = ContextVar("repeating", default=False)


@contextmanager
def may_be_repeated() -> Iterator[None]:
    """Have chords that are published in the block go on where they are, should they be recorded already.

    It is for whoever publishes a canvas whose ids were fixed earlier, and may die before it notes that it did so.
    """
    token = _repeating.set(True)
    try:
        yield
    finally:
        _repeating.reset(token)


def is_repeatable() -> bool:
    """Tell whether this runs in such a block."""
    return _repeating.get()
