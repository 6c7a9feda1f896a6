"""One message on its way to a broker: how long that may take, and whether anything of it has left this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from shared.deadlines import at_most

HAND_OVER_WITHIN_SECONDS = 4.0
"""How long a publish waits for servers in all.  It is to return within five seconds; the rest is for its own work."""


class Handover:
    """Whether the message may be in the broker, as the transports note it."""

    __slots__ = ("leaving", "sent")

    def __init__(self) -> None:
        self.sent: Literal["no", "unknown"] = "no"
        self.leaving = False
        """Whether what is written to the broker now is the message itself, and no preparation."""


_handover: ContextVar[Handover | None] = ContextVar("handover", default=None)


@contextmanager
def hand_over() -> Iterator[Handover]:
    """Bound a publish for the length of a ``with`` block; inside another one, be part of that."""
    outer = _handover.get()
    if outer is not None:
        yield outer
        return
    handover = Handover()
    token = _handover.set(handover)
    try:
        with at_most(HAND_OVER_WITHIN_SECONDS):
            yield handover
    finally:
        _handover.reset(token)


@contextmanager
def leaving() -> Iterator[None]:
    """Say that what is written to a broker inside a ``with`` block is the message itself, for ``bytes_leave``."""
    handover = _handover.get()
    if handover is None:
        yield
        return
    handover.leaving = True
    try:
        yield
    finally:
        handover.leaving = False


def bytes_leave() -> None:
    """Note, just before something is written to a broker, that it may have the message from now on, if it is that."""
    handover = _handover.get()
    if handover is not None and handover.leaving:
        handover.sent = "unknown"


def message_leaves() -> None:
    """Note, just before the message is written to a broker, that it may be there from now on."""
    handover = _handover.get()
    if handover is not None:
        handover.sent = "unknown"


def may_have_left() -> bool:
    """Tell whether anything of the messages that are handed over here may be in the broker."""
    handover = _handover.get()
    return handover is not None and handover.sent == "unknown"
