"""How a worker's loop tells the broker of work that is over: of all that ended since its last turn, in one step.

Celery has the loop acknowledge each message by itself.  On Redis that is a round trip, on RabbitMQ a system call.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from celery.concurrency.solo import TaskPool as SoloPool

from shared.health import clock

logger = logging.getLogger(__name__)

SOON_SECONDS = 0.05
"""In solo, where the loop waits for tasks: what took longer than this is settled before the next one begins."""


class Settling:
    """Acknowledges the messages of one worker.

    Args:
        consumer: The worker's consumer.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._ended: deque[Any] = deque()
        self._called = False
        self._settled = clock()
        self._in_loop = isinstance(consumer.pool, SoloPool)

    def acknowledge(self, message: Any) -> None:
        """Acknowledge a message of work that is over, in the next turn of the loop; called from any thread.

        In solo tasks run in the loop itself.  There the broker hears of them when half of the window is over, so that
        more is on its way while the rest runs.
        """
        self._ended.append(message)
        if self._in_loop and self._is_due():
            self.settle()
        elif not self._called:
            self._called = True
            if self._consumer.hub is not None:
                self._consumer.hub.call_soon(self.settle)
            else:
                self._settle_in_greenlet()

    def settle(self) -> None:
        """Acknowledge what has ended; runs in the loop."""
        self._called = False
        self._settled = clock()
        together: dict[Any, list[Any]] = {}
        while self._ended:
            message = self._ended.popleft()
            settles: Callable[..., None] | None = getattr(message.channel, "settle_together", None)
            if settles is None or "ack" in vars(message):  # a dead letter takes its place
                message.ack_log_error(logger, self._consumer.connection_errors)
            else:
                together.setdefault(settles, []).append(message)
        for settles, messages in together.items():
            self._settle(settles, messages)

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
        half = self._consumer.initial_prefetch_count // 2
        return len(self._ended) >= half or clock() - self._settled > SOON_SECONDS
