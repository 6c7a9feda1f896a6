"""What brokers and the ledger said a moment ago, for all who ask: fifty open pages cost one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Query

EVERY_SECONDS = 2.0
"""For how long an answer is shared, from when it was there."""
AT_ONCE = 8
"""Samples of different things that are taken at once; of each thing there is one."""

T = TypeVar("T")
Fresh = Annotated[
    bool, Query(description="Ask anew now, instead of sharing an answer of the last seconds: after an act, for one.")
]


class Sample(NamedTuple, Generic[T]):
    """An answer that is shared."""

    value: T
    at: datetime
    """When the asking began; nothing in the answer is older."""
    ended: float

    def told(self) -> dict[str, Any]:
        """Return how old it may be, for those who show it."""
        return {"sampled_at": self.at.isoformat(), "every_seconds": EVERY_SECONDS}


class Samples:
    """Keeps the last answer to each question, and has it asked once however many wait for it.

    Args:
        every_seconds: For how long an answer is shared.
    """

    def __init__(self, every_seconds: float = EVERY_SECONDS) -> None:
        self._every_seconds = every_seconds
        self._last: dict[str, Sample[Any]] = {}
        self._asking: dict[str, asyncio.Task[Sample[Any]]] = {}
        self._threads = CapacityLimiter(AT_ONCE)

    async def take(self, name: str, ask: Callable[[], T], *, fresh: bool = False) -> Sample[T]:
        """Return the answer to a question, from the last seconds or of now.

        Args:
            name: Of the question.
            ask: Answers it; runs in a thread.
            fresh: Whether the asking has to begin now.

        Raises:
            Exception: What ``ask`` raises, for all who wait for this answer.
        """
        if fresh:
            if name in self._asking:  # it began before
                await asyncio.wait({self._asking[name]})
        elif (last := self._last.get(name)) is not None and monotonic() - last.ended < self._every_seconds:
            return last
        asking = self._asking
        if name not in asking:
            asking[name] = asyncio.create_task(self._ask(name, ask))
        return await asyncio.shield(asking[name])

    def forget(self) -> None:
        """Share nothing that was asked before now: something was changed, and who changed it looks at it next.

        It may be called from any thread.
        """
        self._last, self._asking = {}, {}

    async def _ask(self, name: str, ask: Callable[[], T]) -> Sample[T]:
        at, last, asking = datetime.now(UTC), self._last, self._asking
        try:
            value = await run_sync(ask, limiter=self._threads)
            sample = last[name] = Sample(value, at, monotonic())
            return sample
        finally:
            del asking[name]
