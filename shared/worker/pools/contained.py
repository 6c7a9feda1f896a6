"""What the pools without child processes have in common: soft time limits, and an end for every execution.

Celery's own threads and greenlets end without a word when something is raised outside of a task's body, or by
``sys.exit()`` in it: its message is never acknowledged, and takes up a place in the worker's window for ever.  In the
solo pool the worker ends.  Here such an execution fails, as it does in a child process.

What waits for a thread when the connection to the broker breaks is not executed: the broker hands it out again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any, ClassVar, NamedTuple

from billiard.einfo import ExceptionInfo
from celery.concurrency.base import BasePool
from celery.exceptions import SoftTimeLimitExceeded, WorkerShutdown, WorkerTerminate

from shared.queues import ENFORCE_SOFT_LIMITS, Pool
from shared.worker.adoption import GivenBack

logger = logging.getLogger(__name__)


class Escaped(NamedTuple):
    """What an execution raised outside of its task's body."""

    info: ExceptionInfo


NOT_BEGUN = object()
"""The result of an execution whose message went back first."""


class Execution(NamedTuple):
    """A task as a pool runs it: ``run`` and ``tell``, or both with one call."""

    pool: ContainedPool
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    callback: Callable[[Any], Any]
    error_callback: Callable[[ExceptionInfo], Any]
    accept_callback: Callable[[int, float], Any] | None
    timeout_callback: Callable[..., Any]
    soft: float | None
    """Seconds until ``SoftTimeLimitExceeded``."""

    def __call__(self) -> None:
        """Run the task, and tell its request how it ended."""
        self.tell(self.run())

    def run(self) -> Any:
        """Run the task; return its result, or what it raised."""
        try:
            if self.accept_callback:
                self.accept_callback(self.pool.getpid(), monotonic())
        except GivenBack:
            return NOT_BEGUN
        try:
            return self._within(self.soft) if self.soft else self.target(*self.args, **self.kwargs)
        except (WorkerShutdown, WorkerTerminate):
            raise
        except (Exception, SystemExit, KeyboardInterrupt):  # noqa: BLE001 - reported as in a child process
            return Escaped(ExceptionInfo())

    def tell(self, result: Any) -> None:
        """Tell the request of the task how it ended."""
        if isinstance(result, Escaped):
            self.error_callback(result.info)
        elif result is not NOT_BEGUN:
            self.callback(result)

    def _within(self, seconds: float) -> Any:
        started, result = monotonic(), None
        try:
            with self.pool.soft_limit(seconds):
                result = self.target(*self.args, **self.kwargs)
        except SoftTimeLimitExceeded:
            if result is None:
                raise
        finally:
            if monotonic() - started >= seconds:
                self.timeout_callback(True, seconds)
        return result


class ContainedPool(BasePool):
    """Part of a pool: runs tasks within a soft time limit, and reports whatever they raise."""

    kind: ClassVar[Pool]
    runs_here = True
    """Whether tasks run in the worker's own process."""

    getpid: Callable[[], int] = staticmethod(os.getpid)
    """What executions are known by to whoever ends them; greenlets have a number each."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._told: set[tuple[str, str]] = set()

    def soft_limit(self, seconds: float) -> AbstractContextManager[Any]:
        """Return a context in which ``SoftTimeLimitExceeded`` is raised after some seconds."""
        raise NotImplementedError

    def begin(self, execution: Execution, hard: float | None) -> Any:
        """Begin an execution, which a pool of greenlets ends after ``hard`` seconds."""
        raise NotImplementedError

    def on_apply(
        self,
        target: Any,
        args: Any = (),
        kwargs: Any = None,
        callback: Any = None,
        error_callback: Any = None,
        timeout_callback: Any = None,
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Run a task."""
        soft = soft_timeout or self.options.get("soft_timeout")
        if soft and self.kind not in ENFORCE_SOFT_LIMITS:
            self.say_once(args[0], "soft")
            soft = None
        if timeout:
            self.say_once(args[0], "hard")
        accept = options.get("accept_callback")
        execution = Execution(
            self, target, args, kwargs or {}, callback, error_callback, accept, timeout_callback, soft
        )
        return self.begin(execution, timeout)

    def say_once(self, task: str, limit: str) -> None:
        """Warn, once for each task, of a time limit that this pool can't hold."""
        if (task, limit) not in self._told:
            self._told.add((task, limit))
            logger.warning(
                "Task %s has a %s time limit, which pool %s can't enforce; run its queue with prefork.",
                task,
                limit,
                self.kind,
            )
