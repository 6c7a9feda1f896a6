"""Replies of several brokers come from several threads; who hears them hears one at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

import pytest

from shared.replies import Replies


def test_one_is_told_after_the_other():
    both = Barrier(2)

    def meet(reply: object) -> None:
        with pytest.raises(BrokenBarrierError):
            both.wait(0.2)

    replies = Replies(["a@here", "b@here"], meet)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(replies.note, [{"a@here": "pong"}, {"b@here": "pong"}]))
    assert replies.complete
