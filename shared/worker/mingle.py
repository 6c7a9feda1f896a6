"""The greeting of a worker to its neighbours, which does not keep it from working."""

from __future__ import annotations

import logging
from typing import Any

from celery.worker.consumer.mingle import Mingle

from shared.producers import PublishFailed

logger = logging.getLogger(__name__)


class OptionalMingle(Mingle):
    """Asks the neighbours which tasks are revoked, and goes on without where the broker takes no question.

    RabbitMQ at its limit of memory or disk takes no messages, and still hands out those that it has: a worker that
    starts then has work to do.
    """

    name = Mingle.name
    """That of the step in whose place it comes."""

    def send_hello(self, c: Any) -> dict[str, Any]:
        """Return what the neighbours answer, by name of node; nothing where they can't be asked."""
        try:
            replies: dict[str, Any] = super().send_hello(c)
        except PublishFailed as error:
            logger.warning("The neighbours can't be asked what is revoked; this worker begins without: %s", error)
            return {}
        return replies
