"""How long the code that runs now may still wait for a server, known to whatever opens or reads a socket below it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let everything in a ``with`` block wait so long in all; an earlier deadline around it stays in force."""
    deadline, outer = monotonic() + seconds, _deadline.get()
    token = _deadline.set(deadline if outer is None else min(deadline, outer))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def time_out() -> Iterator[None]:
    """Let a ``with`` block have no deadline; that of the block around it is put off by the time that this one takes."""
    outer, started = _deadline.get(), monotonic()
    token = _deadline.set(None)
    try:
        yield
    finally:
        _deadline.reset(token)
        if outer is not None:
            _deadline.set(outer + monotonic() - started)


def has_deadline() -> bool:
    """Tell whether there is a deadline here."""
    return _deadline.get() is not None


def time_left(limit: float | None = None) -> float | None:
    """Return how long one wait may take.

    Args:
        limit: Seconds that it may take without a deadline; ``None`` for ever.

    Returns:
        ``limit``, or what is left until the deadline where that is less.

    Raises:
        TimeoutError: Nothing is left.
    """
    deadline = _deadline.get()
    if deadline is None:
        return limit
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left if limit is None else min(limit, left)
