"""Celery's Redis result store, which a program can leave without a traceback."""

from __future__ import annotations

import sys

from celery.backends import redis


class ResultConsumer(redis.ResultConsumer):
    """Waits for results; lets go of none while the interpreter shuts down."""

    def cancel_for(self, task_id: str) -> None:
        """Stop waiting for a result.

        A result that is collected at the interpreter's end would open a connection for it, which is too late then:
        Celery prints ``Exception ignored in … AsyncResult.__del__``.
        """
        if not sys.is_finalizing():
            super().cancel_for(task_id)


class RedisBackend(redis.RedisBackend):
    """Celery's Redis result store with that consumer."""

    ResultConsumer = ResultConsumer


BACKENDS = {"redis": "shared.results:RedisBackend", "rediss": "shared.results:RedisBackend"}
"""The result stores that differ from Celery's, by the scheme of their URL."""
