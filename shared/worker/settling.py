"""How a worker tells the broker of work that is over: of several tasks at once, where it holds more than it runs.

Celery has the loop acknowledge each message by itself.  On Redis that is a round trip, on RabbitMQ a system call, and
each wakes the loop.  Here the loop waits until half of what it holds beyond the running tasks has ended, or for 20 ms.
A queue whose messages are fetched one by one, because urgency counts, is told of each at once.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from celery.bootsteps import RUN
from celery.concurrency.solo import TaskPool as SoloPool

from shared.health import clock

logger = logging.getLogger(__name__)

SOON_SECONDS = 0.02
"""How much longer than its task a message may be held; a task of a worker that dies meanwhile runs again."""


class Settling:
    """Acknowledges the messages of one worker.

    Args:
        consumer: The worker's consumer.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._ended: deque[Any] = deque()
        self._called = False
        """Whether the loop is about to come by."""
        self._waits = False
        """Whether it comes by when the time is over."""
        self._settled = clock()
        self._runs_tasks_in_loop = isinstance(consumer.pool, SoloPool)

    def acknowledge(self, message: Any) -> None:
        """Acknowledge a message of work that is over; called from any thread."""
        self._ended.append(message)
        if self._consumer.hub is None:
            self._settle_in_greenlet()
        elif self._runs_tasks_in_loop and self._is_due():
            self.settle()
        elif not self._called and (not self._waits or self._is_enough()):
            self._called = True
            self._consumer.hub.call_soon(self._look)

    def settle(self) -> None:
        """Acknowledge what has ended; runs in the loop, or when that has ended."""
        self._settled = clock()
        self._called = False  # where the loop broke off its turn, nobody comes by
        together: dict[Any, list[Any]] = {}
        while self._ended:
            message = self._ended.popleft()
            settle: Callable[..., None] | None = getattr(message.channel, "settle_together", None)
            if settle is None or "ack" in vars(message):  # a dead letter takes its place
                message.ack_log_error(logger, self._consumer.connection_errors)
            else:
                together.setdefault(settle, []).append(message)
        for settle, messages in together.items():
            self._settle(settle, messages)

    def _look(self) -> None:
        self._called = False
        if self._runs_tasks_in_loop or self._is_enough() or self._consumer.controller.blueprint.state != RUN:
            self.settle()
        elif not self._waits:
            self._waits = True
            self._consumer.hub.call_later(SOON_SECONDS, self._end_wait)

    def _end_wait(self) -> None:
        self._waits = False
        self.settle()

    def _settle(self, settle: Callable[..., None], messages: list[Any]) -> None:
        try:
            settle(messages)
        except self._consumer.connection_errors as error:
            logger.critical("Couldn't ack %d messages, reason: %r", len(messages), error, exc_info=True)
            if isinstance(error, BrokenPipeError):  # as kombu's own ``ack_log_error``
                raise

    def _settle_in_greenlet(self) -> None:
        try:
            self.settle()
        except Exception:
            logger.exception("Messages could not be acknowledged.")

    def _is_due(self) -> bool:
        """Tell whether to settle before the next task begins, for which the loop would wait."""
        return self._is_enough() or clock() - self._settled > SOON_SECONDS

    def _is_enough(self) -> bool:
        """Tell whether half of what is held beyond the running tasks has ended; the other half keeps them busy."""
        window = self._consumer.initial_prefetch_count
        running = window // (self._consumer.prefetch_multiplier or 1)
        return bool(len(self._ended) * 2 >= window - running)
