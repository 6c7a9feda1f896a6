"""What a pool does in the place of the worker's loop, which has ended, while the last tasks run."""

from __future__ import annotations

import logging
from typing import Any

from celery.concurrency.prefork import _run_ready_callbacks
from celery.worker import state
from kombu.asynchronous import get_event_loop

logger = logging.getLogger(__name__)

STAND_IN_EVERY_SECONDS = 0.2


def asked_to_stop() -> bool:
    """Tell whether this worker was asked to stop; its loop notices that when it comes by next."""
    stop, terminate = state.should_stop, state.should_terminate  # an exit code, which may be 0
    return (stop is not None and stop is not False) or (terminate is not None and terminate is not False)


def stand_in_for_loop(app: Any) -> None:
    """Fire the timers of the loop, and send the acknowledgements of tasks that have ended.

    The timers hold time limits, and tell RabbitMQ that the worker lives: without a word for ten seconds it would hand
    out again what still runs.
    """
    hub = get_event_loop()
    if hub is None:
        return
    try:
        with app.acknowledging.desk.one_at_a_time:
            hub.fire_timers()
            _run_ready_callbacks(hub)
            app.acknowledging.settle_ended()
    except Exception:  # the tasks have their time all the same
        logger.exception("The timers of a stopping worker can't be fired.")
