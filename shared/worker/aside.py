"""Work that can't begin while shared state is out of reach: it steps aside in its worker, and other work goes on.

Its message stays unacknowledged, so that it goes back when the worker ends or dies, or its connection breaks.  It
takes up no slot of the pool, and no place in the window: that grows by one for each, as Celery's does for a task with a
countdown.  Only where RabbitMQ has no window that changes, with quorum queues, does it keep its place there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
MOST_ASIDE = 100
"""For so many messages the window grows; those beyond keep their places in it, and at last the worker takes no more."""


class Place(NamedTuple):
    """Where a request waits."""

    connects: int
    """How often the worker had connected when the request arrived."""
    window: Any
    """What was widened for it, if anything was."""


class Aside:
    """The requests of one worker that wait for shared state; used by its loop alone.

    Args:
        worker: The worker.
        reachable: Tells whether shared state answers again, and asks nobody.
    """

    def __init__(self, worker: Any, reachable: Callable[[], bool]) -> None:
        self._worker = worker
        self._reachable = reachable
        self._waiting: dict[Any, Place] = {}
        self._looks = False

    def take(self, request: Any) -> None:
        """Let a request wait, and give up its slot; it is processed anew when shared state answers."""
        consumer = self._worker.consumer
        window = None
        if len(self._waiting) < MOST_ASIDE:
            window = consumer.qos
            window.increment_eventually()
        elif len(self._waiting) == MOST_ASIDE:
            logger.warning("%d messages wait for shared state; this worker takes few others beside them.", MOST_ASIDE)
        self._waiting[request] = Place(consumer.restart_count, window)
        self._look_later()
        self._worker.release_slot()

    def _look_later(self) -> None:
        if not self._looks:
            self._looks = True
            self._worker.timer.call_after(LOOK_EVERY_SECONDS, self._look)

    def _look(self) -> None:
        self._looks = False
        connects = self._worker.consumer.restart_count
        self._waiting = {request: place for request, place in self._waiting.items() if place.connects == connects}
        if self._reachable():
            waiting, self._waiting = self._waiting, {}
            for request, place in waiting.items():
                if place.window is not None:
                    place.window.decrement_eventually()
                self._worker.process_task(request)
        if self._waiting:
            self._look_later()
