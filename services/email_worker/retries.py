"""When a mail that could not be sent yet is tried again."""

from __future__ import annotations

FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 300.0
MAX_RETRIES = 8
"""Eight retries spread over up to 8.5 minutes: longer than the usual greylisting delay of 5 minutes."""


def retry_delay(retries: int, fraction: float) -> float:
    """Say how many seconds to wait before the next try.

    The delay doubles from 2 s to at most 300 s; between half of it and the whole is drawn by lot, so that
    mails which failed together do not come back together.

    Args:
        retries: Retries that there have been already, from 0.
        fraction: The lot, from 0 to 1.
    """
    doublings = min(retries, 16)  # far above the cap, far below what a float can hold
    whole = min(FIRST_DELAY_SECONDS * 2.0**doublings, LONGEST_DELAY_SECONDS)
    return whole * (0.5 + fraction / 2)
