"""Write prose of a railway yard, as much as is asked for."""

from __future__ import annotations

import random
import textwrap

PLACES = ("the north yard", "track seven", "the signal box", "the coal stage", "the weighbridge", "the east ladder")
PEOPLE = ("the shunter", "the night clerk", "a driver from the coast", "the yardmaster", "an apprentice", "the guard")
DEEDS = (
    "set the points for",
    "counted the wagons in",
    "waited beside",
    "sent a message to",
    "swept",
    "lit the lamps of",
)
TIMES = (
    "before dawn",
    "in the rain",
    "after the last freight had gone",
    "at noon",
    "while the fog held",
    "on a Sunday",
)
ENDINGS = (
    "and nothing was lost on the way",
    "and wrote it in the ledger",
    "so that the next train could leave on time",
    "though nobody had asked",
    "and whistled twice",
    "as the rules of the house demand",
)


def sentences(lot: random.Random, number: int) -> str:
    """Return so many sentences in a row."""
    return " ".join(_sentence(lot) for _ in range(number))


def paragraphs(seed: int, number: int, width: int = 88) -> str:
    """Return so many paragraphs, wrapped, with an empty line between them."""
    lot = random.Random(seed)
    return "\n\n".join(textwrap.fill(sentences(lot, lot.randint(3, 8)), width) for _ in range(number)) + "\n"


def _sentence(lot: random.Random) -> str:
    when, who, did, where, end = (lot.choice(words) for words in (TIMES, PEOPLE, DEEDS, PLACES, ENDINGS))
    return f"{when.capitalize()} {who} {did} {where}, {end}."
