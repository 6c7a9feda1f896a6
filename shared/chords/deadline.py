"""How long a chord has."""

from __future__ import annotations

DEADLINE_SECONDS = 12 * 3600
"""The time of a chord for which nobody gave one: the longest backlog that is worth waiting for, with retries and the
tries after deaths.  It is half of the day for which results are kept, for a chord can't be completed once the first
results of its members are gone, and its failure should still be there to be read."""


def checked_deadline(seconds: object) -> float:
    """Return a deadline.

    Raises:
        ValueError: It is no positive number of seconds.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise ValueError(f"The deadline of a chord is a number of seconds above 0, and not {seconds!r}.")
    return float(seconds)
