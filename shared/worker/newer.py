"""Messages of a newer release, which reach a worker that is yet to be replaced: they go back, and are not touched.

While a fleet is deployed, workers of the old release meet what callers of the new one publish.  They can't know what it
means, not even whether an unknown task is a mistake.  So the message stays unacknowledged in its worker for a while, as
one with a countdown does in Celery, and takes up no place in its window; then it goes back to its queue.  When the
worker stops, which it does in a deploy, it goes back at once.

A worker that still meets such messages after ``FleetCelery.newer_messages_seconds`` is not being replaced.  From then
on it keeps them as dead letters, which can be replayed when there are workers for them.  Where it meets none for a
minute, those it met were of a deploy that has ended, or was taken back: with the next one the time begins anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from celery.bootsteps import RUN

from shared.health import clock
from shared.versions import version_of
from shared.worker.poison import coroner_of

logger = logging.getLogger(__name__)

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 30.0
"""How long one is held: a tenth of the time for which the worker has met them, within these bounds.

In half an hour one message is handed out some 80 times; a quorum queue drops it after ``DELIVERY_LIMIT``.
"""
FORGOTTEN_SECONDS = 2 * LONGEST_SECONDS
"""After so long without one none is held, and none that was given back waits for this worker."""
MOST_HELD = 20
"""For so many messages the window grows.  With more the worker takes nothing, and leaves them to those that can."""


class NewerMessages:
    """The messages of a newer release that one worker holds; used by its loop alone.

    Args:
        consumer: The worker's consumer.
        refuse: Keeps one as a dead letter, with what is said of it.
    """

    def __init__(self, consumer: Any, refuse: Callable[[Any, str], Any]) -> None:
        self._consumer = consumer
        self._refuse = refuse
        self._held = 0
        self._met_first = self._met_last = float("-inf")

    def takes(self, message: Any) -> bool:
        """Take a message that is of a newer release; tell whether it is."""
        app, headers = self._consumer.app, message.headers
        version = version_of(headers) if isinstance(headers, dict | Mapping) else 0
        if version <= app.message_version:
            return False
        message.judged = True
        said = f"It is of version {version}, and this worker knows up to {app.message_version}"
        if clock() - self._met_last > FORGOTTEN_SECONDS:
            self._met_first = clock()
            logger.warning("A message goes back to its queue until workers of its release are there: %s.", said)
        self._met_last = clock()
        since = self._met_last - self._met_first
        if since > app.newer_messages_seconds:
            self._refuse(message, f"{said}; it was not replaced by one of that release in time.")
        else:
            self._hold(message, headers, min(LONGEST_SECONDS, max(SHORTEST_SECONDS, since / 10)))
        return True

    def _hold(self, message: Any, headers: Mapping[str, Any], seconds: float) -> None:
        consumer = self._consumer
        if isinstance(task_id := headers.get("id"), str):
            coroner_of(consumer.app).acquit_message(task_id)
        window = consumer.qos if self._held < MOST_HELD else None
        if window is not None:
            window.increment_eventually()
        self._held += 1
        connects = consumer.restart_count

        def give_back() -> None:
            self._held -= 1
            if connects != consumer.restart_count or consumer.controller.blueprint.state != RUN:
                return  # it went back with its connection, or is about to
            if window is not None:
                window.decrement_eventually()
            message.reject_log_error(logger, consumer.connection_errors, requeue=True)

        consumer.timer.call_after(seconds, give_back)
