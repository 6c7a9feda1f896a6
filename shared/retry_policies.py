"""How often a publish is tried again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import sleep
from typing import Any, NamedTuple

from shared.deadlines import time_left


class RetryPolicy(NamedTuple):
    """How often a publish is tried again, and after how many seconds: what ``task_publish_retry_policy`` says."""

    max_retries: int | None = 3
    interval_start: float = 0.2
    interval_step: float = 0.2
    interval_max: float = 1.0
    errors: tuple[type[BaseException], ...] = ()
    """Errors after which to try again, whatever they mean."""

    @classmethod
    def of(cls, policy: Mapping[str, Any] | None) -> RetryPolicy:
        """Read a policy as Celery and kombu write it; what they know beyond this is ignored."""
        policy = dict(policy or {})
        known = {name: value for name, value in policy.items() if name in cls._fields}
        return cls(**known, errors=tuple(policy.get("retry_errors") or ()))

    def pauses(self) -> Iterator[float]:
        """Yield how long to wait before each retry."""
        pause, retries = self.interval_start, 0
        while self.max_retries is None or retries < self.max_retries:
            yield min(pause, self.interval_max)
            pause += self.interval_step
            retries += 1


NO_RETRY = RetryPolicy(max_retries=0)


def waited(pause: float | None) -> bool:
    """Wait before a retry; tell whether there is time for one."""
    if pause is None:
        return False
    try:
        left = time_left()
    except TimeoutError:
        return False
    if left is not None and left <= pause:
        return False
    sleep(pause)
    return True
