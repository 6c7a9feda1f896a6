"""Ids that sort by age and can be read aloud: ``job-20261121-k3f9x2m7qa``."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from services.core.ledger.errors import InvalidSubmission
from services.core.ledger.models import ID_LENGTH

Kind = Literal["job", "campaign", "mail"]
RESERVED_PREFIXES = ("job-", "mail-")
"""An id tells what it is; only campaigns are named by people."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that looks like another, and in the order in which text sorts."""
TICKS_PER_SECOND = 12
"""As many as let the ticks of a day fit into four characters: 86,400 × 12 < 32 ** 4."""
TICK_CHARACTERS = 4
RANDOM_CHARACTERS = 6

CAMPAIGN_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{ID_LENGTH - 1}}}")


def new_id(kind: Kind, now: datetime, entropy: Callable[[int], int] = secrets.randbelow) -> str:
    """Make an id: what it is for, the day and time in UTC, and 30 random bits.

    Ids of one kind sort by the twelfth of a second in which they were made.

    Args:
        kind: What the id is for.
        now: The instant of making, with a time zone.
        entropy: Gives a random number from 0 up to, and without, its argument.
    """
    instant = now.astimezone(UTC)
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    tick = int((instant - midnight).total_seconds() * TICKS_PER_SECOND)
    noise = entropy(len(ALPHABET) ** RANDOM_CHARACTERS)
    return f"{kind}-{instant:%Y%m%d}-{_base32(tick, TICK_CHARACTERS)}{_base32(noise, RANDOM_CHARACTERS)}"


def file_id(job_id: str, position: int) -> str:
    """Name the file at a position of a job, counted from 1; ids of a job sort by position."""
    return f"{job_id}-{position:06}"


def checked_campaign_id(text: str) -> str:
    """Return a campaign id that a person chose, if it can be one.

    Raises:
        InvalidSubmission: It is too long, has other characters, or looks like the id of a job or a mail.
    """
    if not CAMPAIGN_ID.fullmatch(text):
        raise InvalidSubmission(
            f"{text!r} cannot be the id of a campaign: use up to {ID_LENGTH} letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit."
        )
    if text.startswith(RESERVED_PREFIXES):
        raise InvalidSubmission(f"{text!r} cannot be the id of a campaign: it looks like the id of a job or mail.")
    return text


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
