"""A task that runs here when its message is delivered again: it goes on, and settles the new delivery when it ends.

A broker delivers anew what was held over a connection that broke, although the work goes on in this process.  To start
it a second time beside itself would be wrong, and to drop the new delivery would leave nobody to repeat the work if
this process dies.  What succeeded here while there was no connection to say so over is acknowledged when it comes
again.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.worker import state
from celery.worker.request import Request
from vine import promise

logger = logging.getLogger(__name__)


class AdoptingRequest(Request):
    """A request that can exchange the delivery that it settles."""

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


def settled_here(consumer: Any, message: Any) -> bool:
    """Hand a second delivery to the execution of the same message in this worker; tell whether there is one."""
    headers = message.headers
    identity = headers.get("id") if isinstance(headers, dict) else None
    if not isinstance(identity, str):
        return False
    for request in running():
        if request.id == identity and request.request_dict.get("retries") == headers.get("retries"):
            logger.info("Task %s is delivered again while it runs here, and is not started twice.", request)
            request.adopt(message, consumer.call_soon_ack)
            return True
    if identity in state.successful_requests:
        logger.info("Task %s is delivered again after it succeeded here.", identity)
        consumer.call_soon_ack(message.ack_log_error, logger, consumer.connection_errors)
        return True
    return False


def running() -> list[Any]:
    """Return what runs in this worker; in the pool of threads it changes under one's hands."""
    while True:
        try:
            return list(state.active_requests)
        except RuntimeError:
            continue
