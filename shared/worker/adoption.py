"""What a worker has taken when its connection breaks: what runs goes on, and what has not begun never begins here.

The latter goes back to the broker, and would run twice if it began from where it waits.  Of the former the claims are
kept on Redis (``shared.transports.leases``), and RabbitMQ delivers it anew.  To start it a second time beside itself
would be wrong, and to drop the new delivery would leave nobody to repeat the work if this process dies: the execution
exchanges its delivery for the new one, and settles that when it ends.  What succeeded here while there was no
connection to say so over is acknowledged when it comes again.

A task id alone may be that of many messages, as of a beat entry that always gives the same one.  So a message is known
by its name (``shared.worker.acknowledged``), which says also when it was published.  That of a foreign publisher says
nothing of the kind: of such messages one is another that comes over the channel which still holds the first, and no
success is remembered, for to run twice is better than not at all.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.worker import state
from vine import promise

from shared.publishing import PUBLISHED_AT_HEADER
from shared.worker.acknowledged import message_name
from shared.worker.suspects import SuspectRequest, taken

logger = logging.getLogger(__name__)

_succeeded: dict[str, None] = {}
"""The names of the last messages whose tasks succeeded in this worker; ``celery.worker.state`` knows only their ids.

The oldest come first.  Celery's ``LimitedSet``, which also knows a time limit, took 4 µs a message.
"""


class GivenBack(Exception):
    """The message of an execution went back to its broker before it began."""


class AdoptingRequest(SuspectRequest):
    """A request that can exchange the delivery that it settles, and that begins or goes back, but not both."""

    _begins: bool
    """Set once, in one step of the interpreter: a thread may begin just when the loop gives back."""

    def goes_back(self) -> bool:
        """Let the execution never begin; tell whether it had not."""
        return not self.__dict__.setdefault("_begins", False)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Begin.

        Raises:
            GivenBack: Its message is no longer this worker's.
        """
        if not self.__dict__.setdefault("_begins", True):
            raise GivenBack(self.id)
        super().on_accepted(pid, time_accepted)

    def note_success(self) -> None:
        """Remember that the work of the message is done, before anything can keep it from being settled."""
        if self.request_dict.get(PUBLISHED_AT_HEADER):
            _succeeded[message_name(self.request_dict)] = None
            if len(_succeeded) > state.SUCCESSFUL_MAX:
                _succeeded.pop(next(iter(_succeeded)), None)

    def is_of(self, message: Any) -> bool:
        """Tell whether a delivery is another one of the message that is executed here."""
        headers = message.headers
        if message_name(self.request_dict) != message_name(headers):
            return False
        if headers.get(PUBLISHED_AT_HEADER):
            return True
        same_try = self.request_dict.get("retries") == headers.get("retries")
        return same_try and self.message.channel is not message.channel

    def adopt(self, message: Any, settle_soon: Any) -> None:
        """Settle another delivery of the same message from now on; at once if this one is settled already.

        Args:
            message: The new delivery.
            settle_soon: Runs an acknowledgement in the next turn of the loop.
        """
        self._message = message
        self._on_ack = promise(settle_soon, (message.ack_log_error,))
        self._on_reject = promise(settle_soon, (message.reject_log_error,))
        if self.acknowledged:
            self._on_ack(logger, self._connection_errors)
        else:
            self.goes_on()


def settled_here(consumer: Any, message: Any) -> bool:
    """Hand a second delivery to the execution of the same message in this worker; tell whether there is one."""
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get("id"), str):
        return False
    for request in running():
        if request.is_of(message):
            logger.info("Task %s is delivered again while it runs here, and is not started twice.", request)
            request.adopt(message, consumer.call_soon_ack)
            return True
    if message_name(headers) in _succeeded:
        logger.info("Task %s is delivered again after it succeeded here.", headers["id"])
        consumer.call_soon_ack(message.ack_log_error, logger, consumer.connection_errors)
        return True
    return False


def part(pool: Any) -> list[Any]:
    """Return what goes on in a pool when its connection breaks; let the rest of what was taken never begin.

    Processes forget what none of them was sent by themselves.
    """
    if pool.uses_semaphore:
        return running()
    for scheduled in tuple(state.scheduled_requests):
        scheduled.goes_back()
    return [request for request in taken() if not request.goes_back()]


def running() -> list[Any]:
    """Return what runs in this worker; in the pool of threads it changes under one's hands."""
    while True:
        try:
            return list(state.active_requests)
        except RuntimeError:
            continue
