"""What the tasks of stock Celery and of the fleet do: the same."""

from __future__ import annotations

import time

from benchmarks.peers.counting import client, count
from benchmarks.peers.probing import waited

BODY_RAN = "bench:body"
"""List that the body of a chord pushes to."""


def nothing() -> None:
    """Count."""
    count()


def spin(seconds: float) -> None:
    """Compute for some time of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def urgent(published: float) -> None:
    """Note how long it waited."""
    waited(published)


def member(number: int) -> int:
    """Return the number."""
    return number


def body(members: list[int]) -> None:
    """Say that the members are there."""
    client().rpush(BODY_RAN, len(members))
