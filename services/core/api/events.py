"""Server-sent events: how something stands, at once and whenever it changes, until it has ended if it ever does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from services.core.api.access import caller_of
from services.core.api.context import context_of
from services.core.api.problems import Problem
from services.core.ledger.errors import LedgerError, LedgerUnavailable
from services.core.ledger.states import State
from services.core.usecases.api_keys import KeyEntry

LOOK_EVERY_SECONDS = 1.0
LOOK_COSTS_AT_MOST = 0.1
"""The share of its time that a stream may spend on looking: what takes long is looked at less often."""
MOST_BYTES_PER_SECOND = 256 * 1024
"""What is large is told less often: a workflow of a thousand steps has about this size."""
STILL_HERE_EVERY_SECONDS = 15.0
MOST_PER_KEY = 10
MOST = 100
ENDED = frozenset({State.DONE, State.DONE_WITH_FAILURES, State.FAILED, State.CANCELLED})

Look = Callable[[], Awaitable[dict[str, Any]]]
"""Tells how something stands; with its ``state``, if it may end."""


async def follow(request: Request, caller: KeyEntry, look: Look) -> StreamingResponse:
    """Begin a stream of events: ``state`` with how it stands, ``end`` when no more will follow.

    It also ends when the API does, and when who asks would be let in no more: the key is revoked, the session is over.
    A browser asks again then, and is told why.

    Raises:
        FleetError: What ``look`` raises.
        Problem: 429 when the key, or all of them, have too many streams open.
    """
    first = await look()
    streams = context_of(request).streams
    if streams.get(caller.id, 0) >= MOST_PER_KEY or sum(streams.values()) >= MOST:
        raise Problem(429, "too-many-streams", "Too many streams are open; end one.", headers={"Retry-After": "30"})
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(request, caller, look, first), media_type="text/event-stream", headers=headers)


async def _stream(request: Request, caller: KeyEntry, look: Look, first: dict[str, Any]) -> AsyncIterator[str]:
    streams = context_of(request).streams
    streams[caller.id] = streams.get(caller.id, 0) + 1
    try:
        async for event in _events(request, look, first):
            yield event
    finally:
        streams[caller.id] -= 1
        if not streams[caller.id]:
            del streams[caller.id]


async def _events(request: Request, look: Look, first: dict[str, Any]) -> AsyncIterator[str]:
    stopping = context_of(request).stopping
    now, told, said = first, "", monotonic()
    pause = LOOK_EVERY_SECONDS
    while True:
        text = json.dumps(now)
        if text != told:
            told, said = text, monotonic()
            yield f"event: state\ndata: {text}\n\n"
        if now.get("state") in ENDED:
            yield "event: end\ndata: {}\n\n"
            return
        if monotonic() - said > STILL_HERE_EVERY_SECONDS:
            said = monotonic()
            yield ": still here\n\n"
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), max(pause, len(text) / MOST_BYTES_PER_SECOND))
            return
        began = monotonic()
        try:
            await run_in_threadpool(caller_of, request)
            now = await look()
        except LedgerUnavailable:
            continue
        except (LedgerError, Problem):  # it was removed, or who asks is let in no more
            return
        pause = max(LOOK_EVERY_SECONDS, (monotonic() - began) / LOOK_COSTS_AT_MOST)
