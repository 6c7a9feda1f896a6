"""What waits for its time without shared state: in a worker, as stock Celery has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.delays.producer import DelayFailed
from shared.transports.once import once

_in_workers: ContextVar[bool] = ContextVar("in_workers", default=False)


@contextmanager
def wait_in_a_worker(failure: DelayFailed) -> Iterator[None]:
    """Publish what has an eta at once, in the place of a message that was perhaps not stored.

    Should that be stored all the same, Redis drops the second of the two; on RabbitMQ both arrive.
    """
    token = _in_workers.set(True)
    try:
        with once(failure.entry):
            yield
    finally:
        _in_workers.reset(token)


def waits_in_a_worker() -> bool:
    """Tell whether what is published here and has an eta goes to its broker at once."""
    return _in_workers.get()
