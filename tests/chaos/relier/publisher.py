"""Publishes with relier what its input asks for, one line each: ``NUMBER SECONDS``; runs in ``var/relier`` alone.

It answers with a line for each task: its id, or ``!`` and why there is none.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

from tests.chaos.relier.app import app_and_work
from tests.chaos.setup import load_setup

AT_ONCE = 10
"""As a web application does that serves so many requests side by side."""


async def publish_what_is_asked_for() -> None:
    """Answer every line until the input ends."""
    _, work = app_and_work(load_setup())
    numbers = count(1)
    for line in sys.stdin:
        number, seconds = line.split()
        for start in range(0, int(number), AT_ONCE):
            size = min(AT_ONCE, int(number) - start)
            pushed = (work.apush(next(numbers), float(seconds)) for _ in range(size))
            for receipt in await asyncio.gather(*pushed, return_exceptions=True):
                print(f"! {receipt!r}" if isinstance(receipt, BaseException) else receipt.id)
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(publish_what_is_asked_for())
