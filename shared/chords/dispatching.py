"""The messages of a body and of errbacks: published again by whoever ends a chord after another, and begun once.

Who claims the end of a chord may die between publishing and noting it.  The next one publishes the same messages, in
the same order.  Each bears its name and the dispatch that it is of; the worker that begins one notes both, and drops
the same message of any other dispatch.  A message that its broker hands out again is of the same dispatch, and runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import redis
from celery.exceptions import Ignore

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

HEADER = "chord_end"
"""Message header of what ends a chord: the id of the chord, the name of the message there, and its dispatch."""


class Dispatch:
    """One try to publish the body of a chord, or its errbacks."""

    def __init__(self, chord: str, kind: str, token: str) -> None:
        self.undelivered: Exception | None = None
        """Why an errback could not be published, where Celery goes on without it."""
        self._chord, self._kind, self._token = chord, kind, token
        self._published = 0

    def header(self, task: str) -> Mapping[str, str]:
        """Return what the next message of this dispatch bears."""
        self._published += 1
        return {"chord": self._chord, "message": f"{self._kind} {self._published} {task}", "dispatch": self._token}


_dispatch: ContextVar[Dispatch | None] = ContextVar("dispatch", default=None)


@contextmanager
def under_way(dispatch: Dispatch) -> Iterator[None]:
    """Have what is published in the block known as part of a dispatch."""
    token = _dispatch.set(dispatch)
    try:
        yield
    finally:
        _dispatch.reset(token)


def dispatch_under_way() -> Dispatch | None:
    """Return the dispatch that is under way here, if there is one."""
    return _dispatch.get()


def headers_of_dispatch(task: str) -> dict[str, Any]:
    """Return the headers that a message gets for the dispatch that is under way here; none without one."""
    dispatch = _dispatch.get()
    return {HEADER: dispatch.header(task)} if dispatch is not None else {}


def refuse_repeated(app: FleetCelery, request: Any) -> None:
    """Refuse to run a task where the same message of another dispatch began before.

    While shared state does not answer it runs: that there are two messages takes a death first.

    Raises:
        Ignore: It began before; nobody is told of this message.
    """
    last = request.__dict__.get(HEADER)
    if not isinstance(last, Mapping) or not app.chords.configured:
        return
    try:
        may = app.chords.may_begin(str(last["chord"]), str(last["message"]), str(last["dispatch"]))
    except (redis.RedisError, OSError) as error:
        logger.warning("Shared state does not answer; task %s begins unasked: %s", request.id, type(error).__name__)
        return
    if not may:
        logger.warning("Task %s ends chord %s, which it did before; dropped.", request.id, last["chord"])
        raise Ignore
