"""What happened in a worker, as records; whoever wants to know subscribes.

| record          | when                                             | measured                                |
|-----------------|--------------------------------------------------|-----------------------------------------|
| ``TaskReceived``| a worker took a message of a task                | ``redelivered``: not for the first time |
| ``TaskStarted`` | a task was handed to a process or thread         | ``waited``: seconds since it was due    |
| ``TaskEnded``   | an execution ended, once for each that started   | ``seconds``: run time, when known       |

Records are made in the worker's parent process.  A subscriber that raises is logged and never fails a task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How an execution of a task ended; the words are those of Celery's own events, and ``ignored``."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    REJECTED = "rejected"
    REVOKED = "revoked"
    IGNORED = "ignored"
    """It raised ``Ignore``, as ``replace`` does: another task goes on for it."""


class TaskReceived(NamedTuple):
    """A worker took a message of a task from its queue; the execution may have to wait for a free process."""

    task: str
    queue: str
    broker: str
    redelivered: bool
    """The broker had handed the message out before: its worker died, or gave it back."""


class TaskStarted(NamedTuple):
    """A task was handed to a process or thread of the pool."""

    task: str
    queue: str
    broker: str
    waited: float | None
    """Seconds since it was published, or since its eta where it had one; ``None`` from a foreign publisher."""


class TaskEnded(NamedTuple):
    """An execution ended."""

    task: str
    queue: str
    broker: str
    outcome: Outcome
    seconds: float | None
    """Run time; ``None`` when it never started."""
    exception: str | None
    """The class of the exception of a failure."""


Event = TaskReceived | TaskStarted | TaskEnded


class Subscribers:
    """Those who are told what happens in this process."""

    def __init__(self) -> None:
        self._handlers: list[Callable[[Event], None]] = []

    def add(self, handler: Callable[[Event], None]) -> None:
        """Tell a handler of every event from now on."""
        self._handlers.append(handler)

    def emit(self, event: Event) -> None:
        """Tell every subscriber; never raises."""
        for handler in self._handlers:
            try:
                handler(event)
            except Exception:  # a subscriber of any kind must not fail the work that it watches
                logger.exception("Subscriber %r failed on %r", handler, event)
