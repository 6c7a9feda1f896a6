"""How many recipients of a campaign travel in one message."""

from __future__ import annotations

from services.core.ledger.chunks import Waiting
from services.core.usecases.recipient_list import BYTES_PER_CHARACTER

FEWEST, MOST = 50, 250
"""A chunk costs some 50 ms of CPU besides its mails, and what a pause has to wait for grows with it."""
SHARE = 100
"""A list is cut into about so many chunks, so that all workers have some to the end."""
BYTES_BESIDE = 200
"""What a recipient has beside the address and the variables: names, quotes and the id."""


def longest_row(message_bytes: int, given: int | None) -> int:
    """Return how many bytes a row of a list may have, so that a chunk of the fewest fits into a message."""
    return _for_recipients(message_bytes) // (given or FEWEST)


def chunk_size(waiting: Waiting, message_bytes: int, given: int | None) -> int:
    """Return how many recipients go into a chunk: a hundredth of them, within bounds, and no more than fit.

    Args:
        waiting: The recipients that are in no chunk yet.
        message_bytes: How large a message may be; recipients fill three quarters of it.
        given: What was asked for; it is taken as it is.
    """
    if given is not None:
        return given
    fitting = _for_recipients(message_bytes) // (waiting.longest * BYTES_PER_CHARACTER + BYTES_BESIDE)
    return max(FEWEST, min(MOST, waiting.number // SHARE, fitting))


def _for_recipients(message_bytes: int) -> int:
    return message_bytes * 3 // 4
