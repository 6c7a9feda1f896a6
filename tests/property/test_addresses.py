"""Addresses with nothing special in them are normalised at once, and exactly as all others are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hypothesis import example, given
from hypothesis import strategies as st

from services.email_worker.errors import InvalidAddress
from services.email_worker.validation import _normalised, normalise

LOCAL_PARTS = st.text("aZ9._+-é@ \"'", max_size=70)
DOMAINS = st.text("aZ9.-üß_@ ", max_size=30) | st.sampled_from(
    ["example.org", "EXAMPLE.org", "bücher.example", "shop.test", "localhost", "a" * 63 + ".org", "[127.0.0.1]"]
)
ADDRESSES = st.builds("{}@{}".format, LOCAL_PARTS, DOMAINS)


@given(ADDRESSES)
@example("ada@EXAMPLE.org")
@example("Ada.Lovelace+news@bücher.example")
@example("ada@" + "a" * 60 + ("." + "b" * 60) * 3 + ".org")
@example("a" * 64 + "@" + "a" * 60 + ("." + "b" * 60) * 2 + ".org")
@example("a" * 65 + "@example.org")
def test_a_plain_address_is_normalised_as_the_validator_would(address):
    assert answer(normalise, address) == answer(partial(_normalised, check_deliverability=False), address)


def answer(normalising: Callable[[str], str], address: str) -> str:
    try:
        return normalising(address)
    except InvalidAddress as refused:
        return f"refused: {refused}"
