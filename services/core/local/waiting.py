"""Wait for something that nothing announces."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = POLL_SECONDS) -> bool:
    """Ask again and again until the condition holds or the time is over; return whether it holds.

    Args:
        condition: What is asked.
        seconds: For how long.
        every: Seconds from an answer to the next question; more for what is costly to ask.
    """
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return holds


def wait_while_it_moves(left: Callable[[], object], seconds: float, *, every: float = POLL_SECONDS) -> bool:
    """Ask again and again what is left, until nothing is or it has stayed the same for so long.

    Args:
        left: What is asked; answers with something false when nothing is left.
        seconds: For how long the answer may stay the same.
        every: Seconds from an answer to the next question.

    Returns:
        Whether nothing is left.
    """
    before, since = left(), time.monotonic()
    while before and time.monotonic() - since < seconds:
        time.sleep(every)
        now = left()
        if now != before:
            before, since = now, time.monotonic()
    return not before
