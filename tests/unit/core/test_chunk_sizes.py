"""How many recipients travel in one message."""

from __future__ import annotations

import pytest

from services.core.ledger.chunks import Waiting
from services.core.usecases.chunk_sizes import chunk_size, longest_row
from shared.bounds import MESSAGE_BYTES


@pytest.mark.parametrize(("recipients", "size"), [(0, 50), (7, 50), (5_000, 50), (20_000, 200), (1_000_000, 250)])
def test_a_list_is_cut_into_a_hundred_chunks_within_bounds(recipients, size):
    assert chunk_size(Waiting(recipients, longest=100), MESSAGE_BYTES, None) == size


def test_what_was_asked_for_is_taken_as_it_is():
    assert chunk_size(Waiting(1_000_000, longest=100), MESSAGE_BYTES, 3) == 3
    assert longest_row(MESSAGE_BYTES, 3) == MESSAGE_BYTES * 3 // 4 // 3


def test_long_recipients_travel_in_smaller_chunks():
    assert chunk_size(Waiting(1_000_000, longest=1_000), MESSAGE_BYTES, None) == MESSAGE_BYTES * 3 // 4 // 12_200
    assert chunk_size(Waiting(1_000_000, longest=15_000), MESSAGE_BYTES, None) == 50
