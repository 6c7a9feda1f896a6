"""Addresses: what passes, in which form, and what the reasons say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.email_worker.errors import InvalidAddress
from services.email_worker.validation import normalise


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("ada@example.org", "ada@example.org"),
        ("ada@shop.test", "ada@shop.test"),
        ("switchyard@localhost.localdomain", "switchyard@localhost.localdomain"),
        ("Ada.Lovelace+news@Example.ORG", "Ada.Lovelace+news@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("u\u0308ber@example.org", "über@example.org"),
    ],
)
def test_a_valid_address_comes_back_in_one_normal_form(address, normal):
    assert normalise(address) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "@-sign"),
        ("ada", "@-sign"),
        ("ada@localhost", "period"),
        ("Ada <ada@example.org>", "display name"),
        ("ada@example.org\r\nBcc: eve@example.org", "invalid characters"),
        ("ada\r\n@example.org", "U\\+000D"),
        ("=?utf-8?q?x=0D=0ABcc=3Aeve?=@example.org", "decode"),
        ("\ud800@example.org", "."),
        (f"{'a' * 100_000}@example.org", "too long"),
        (None, "must be text"),
        (7, "must be text"),
    ],
)
def test_an_invalid_address_is_refused_with_a_short_reason(address, reason):
    with pytest.raises(InvalidAddress, match=reason) as caught:
        normalise(address)
    assert len(str(caught.value)) <= 300


@given(st.text(st.characters(exclude_categories=())) | st.emails())
def test_any_text_is_either_normalised_or_refused(text):
    try:
        normal = normalise(text)
    except InvalidAddress:
        return
    assert normalise(normal) == normal
    assert normal.isprintable()
