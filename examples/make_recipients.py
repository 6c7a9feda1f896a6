"""Make ``recipients.csv``: ``python -m examples.make_recipients``.

Every address is made up, and lies in a domain that is reserved for examples (RFC 2606, RFC 6761), so that no
mistake can reach anybody.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

ROWS = 500
COLUMNS = ("address", "name", "headline", "story")
DOMAINS = ("example.org", "example.com", "example.net", "mail.example.org", "post.example.com", "letters.example")
GIVEN = ("Ada", "Björn", "Chloé", "Dmitri", "Esther", "Farid", "Grace", "Hanna", "Ines", "Jörg", "Kasia", "Liam")
FAMILY = ("Abel", "Brandt", "Costa", "Dubois", "Engel", "Fischer", "García", "Horvat", "Ivanov", "Jensen", "Kowalski")
CITIES = ("Berlin", "Gent", "Kraków", "Lyon", "Málaga", "Porto", "Zürich")
INTERESTS = ("timetables", "signals", "night trains", "freight", "old engines")
ASCII = str.maketrans("öéíó", "oeio")

INTERNATIONAL = (
    "postmaster@bücher.example",
    "info@münchen.example",
    "salut@château.example",
    "hola@señal.example",
    "γραφείο@παράδειγμα.example",
)
SPECIAL = (
    "soft-fail-1@example.org",
    "soft-fail-2@example.com",
    "hard-fail-1@example.org",
    "hard-fail-2@example.net",
)
"""The local mail catcher refuses the first two for a while, and the others for good."""

INVALID = (
    "no-at-sign.example.org",
    "@example.org",
    "nobody@",
    "two@at@example.org",
    "white space@example.org",
    "tab\tstop@example.org",
    "double..dot@example.org",
    ".leading-dot@example.org",
    "trailing-dot.@example.org",
    "brackets(round)@example.org",
    "comma,comma@example.org",
    "<angle@example.org>",
    "someone@example..org",
    "someone@-example.org",
    "someone@example_.org",
    "someone@nodot",
    f"{'long' * 61}@example.org",
    f"someone@{'a' * 64}.example",
    "injected@example.org\nBcc: everybody@example.org",
    "injected@example.org\r\n\r\nBuy now",
)
DUPLICATES = 5


def rows() -> Iterator[tuple[str, ...]]:
    """Give the rows, in the order of a list that has grown over years."""
    lot = random.Random(2024)
    others = [(address, lot.choice(GIVEN)) for address in (*INTERNATIONAL, *SPECIAL, *INVALID)]
    plain = [_person(lot, number) for number in range(1, ROWS - len(others) - DUPLICATES + 1)]
    mixed = [*plain, *others]
    lot.shuffle(mixed)
    again = [(_with_loud_domain(address), name) for address, name in plain[:DUPLICATES]]
    for address, name in (*mixed, *again):
        city, interest = lot.choice(CITIES), lot.choice(INTERESTS)
        story = f"This month we look at {interest}, and at what is new around {city}."
        yield address, name, f"News about {interest} from {city}", story


def _person(lot: random.Random, number: int) -> tuple[str, str]:
    given, family = lot.choice(GIVEN), lot.choice(FAMILY)
    local = f"{given}.{family}{number}".lower().translate(ASCII)
    return f"{local}@{lot.choice(DOMAINS)}", f"{given} {family}"


def _with_loud_domain(address: str) -> str:
    local, _, domain = address.partition("@")
    return f"{local}@{domain.upper()}"


def main() -> None:
    """Write the list beside this script."""
    target = Path(__file__).with_name("recipients.csv")
    with target.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows())
    print(f"Wrote {ROWS} recipients to {target}.")


if __name__ == "__main__":
    main()
