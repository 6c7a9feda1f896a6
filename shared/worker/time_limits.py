"""Time limits in every pool: which one holds where, and one record of an execution that was killed at its limit.

| pool    | soft: ``SoftTimeLimitExceeded`` in the task     | hard: the child is killed |
|---------|-------------------------------------------------|---------------------------|
| prefork | yes                                             | yes                       |
| solo    | yes, by SIGALRM                                 | no                        |
| gevent  | yes, where the greenlet waits                   | no                        |
| threads | no: nothing interrupts a thread that waits      | no                        |

The queue table refuses the others (``QueueSpec``), and so does publishing with such a limit into such a queue.
"""

from __future__ import annotations

from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.concurrency import get_implementation
from celery.exceptions import TimeLimitExceeded
from celery.utils.imports import symbol_by_name
from celery.worker.request import Request

from shared.queues import ENFORCE_HARD_LIMITS, ENFORCE_SOFT_LIMITS, Pool

POOLS = {
    "celery.concurrency.prefork": "shared.worker.pools.prefork:TaskPool",
    "celery.concurrency.solo": "shared.worker.pools.solo:TaskPool",
    "celery.concurrency.thread": "shared.worker.pools.thread:TaskPool",
    "celery.concurrency.gevent": "shared.worker.pools.gevent:TaskPool",
}
"""The fleet's own pools, by the module of Celery's."""


def fleet_pool(pool: Any) -> Any:
    """Return the fleet's own class of pool for one of Celery's, given by name or class."""
    implementation = get_implementation(pool)
    return symbol_by_name(POOLS.get(implementation.__module__, implementation))


def holds(pool: Any, limit: str) -> bool:
    """Tell whether a class of pool holds a limit, ``soft_time_limit`` or ``time_limit``; a pool of others may."""
    kind = getattr(pool, "kind", Pool.PREFORK)
    return kind in (ENFORCE_SOFT_LIMITS if limit == "soft_time_limit" else ENFORCE_HARD_LIMITS)


class LimitedRequest(Request):
    """A request that runs within the limits that its task has now, and fails once when it is killed at the hard one.

    billiard reports such an end twice, and Celery takes both for the failure: errbacks would run twice, and a chord
    would count its member twice.
    """

    _limits_of_call: tuple[float | None, float | None] = (None, None)

    @property
    def time_limits(self) -> tuple[float | None, float | None]:
        """The hard and the soft limit of the call, else those of the task.

        Celery notes the task's when the worker connects; ``control time_limit`` would change nothing until it does
        again (celery#3174).
        """
        hard, soft = self._limits_of_call
        return hard or self.task.time_limit, soft or self.task.soft_time_limit

    @time_limits.setter
    def time_limits(self, limits: tuple[float | None, float | None]) -> None:
        self._limits_of_call = limits

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Handle a failure, but leave that of the hard limit to ``on_timeout``, which follows."""
        raised = exc_info.exception
        raised = raised.exc if isinstance(raised, ExceptionWithTraceback) else raised
        if isinstance(raised, TimeLimitExceeded) and not return_ok:
            return None
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
