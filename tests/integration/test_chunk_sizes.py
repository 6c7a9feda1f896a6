"""How large the chunks of a campaign are, where nobody says it."""

from __future__ import annotations

import json

from services.core.usecases.release_chunks import release_chunks
from services.core.usecases.submit_campaign import submit_campaign

RECIPIENTS = 16_000
EVERYTHING = 1_000
LIMIT_BYTES = 256 * 1024
LONG_NAME = "\N{GRINNING FACE}" * 200
"""Each character of it has twelve bytes as JSON, which is the most."""


def chunks_of(ledger, folder, name: str, **options) -> list[tuple[int, int]]:
    """Submit a long list; return how many recipients each chunk has, and how many bytes."""
    path = folder / "people.csv"
    rows = "".join(f"r{number:05}@example.org,{name}\n" for number in range(RECIPIENTS))
    path.write_text(f"email,name\n{rows}", encoding="utf-8")
    submit_campaign(ledger, path, "news", "spring", **options)
    released = release_chunks(ledger, "spring", window=EVERYTHING)
    return [(len(chunk["recipients"]), len(json.dumps(chunk))) for chunk in released]


def test_a_long_list_is_cut_into_a_hundred_chunks(ledger, tmp_path):
    assert [recipients for recipients, _ in chunks_of(ledger, tmp_path, "Kim")] == [160] * 100


def test_a_chunk_has_no_more_recipients_than_fit_into_a_message(ledger, tmp_path):
    found = chunks_of(ledger, tmp_path, LONG_NAME, message_bytes=LIMIT_BYTES)
    assert sum(recipients for recipients, _ in found) == RECIPIENTS
    assert all(50 < recipients < 160 for recipients, _ in found[:-1])
    assert max(size for _, size in found) < LIMIT_BYTES
