"""The threads that ask brokers and shared state: few, and apart from those that serve all else.

A server that stands still holds each thread that asks it until its time is up.  The others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from services.core.api.problems import TRY_AGAIN_SECONDS, Problem

MOST_AT_ONCE = 8
WAIT_SECONDS = 2.0
"""How long a request may wait for a thread; those before it end within some seconds, unless brokers stand still."""

T = TypeVar("T")


class Asking:
    """Runs what asks brokers, so much of it at once and no more.

    Args:
        most: How many at once.
        wait_seconds: How long a request may wait for its turn.
    """

    def __init__(self, most: int = MOST_AT_ONCE, wait_seconds: float = WAIT_SECONDS) -> None:
        self._places = asyncio.Semaphore(most)
        self._threads = CapacityLimiter(most)
        self._wait_seconds = wait_seconds

    async def run(self, ask: Callable[[], T]) -> T:
        """Run it in one of the threads; return what it returns.

        Raises:
            Problem: 503 when no thread became free; nothing was done.
        """
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            detail = "Too many requests wait for brokers that do not answer. Nothing was done; try again."
            raise Problem(503, "brokers-busy", detail, headers={"Retry-After": str(TRY_AGAIN_SECONDS)}) from None
        try:
            return await run_sync(ask, limiter=self._threads)
        finally:
            self._places.release()
