"""Celery's Redis result store, on which no publish depends, and which a program can leave without a traceback."""

from __future__ import annotations

import logging
import sys
from time import monotonic
from typing import Any

import redis as redis_client
from celery._state import task_join_will_block
from celery.backends import redis

from shared.deadlines import at_most
from shared.transports.redis_connections import BoundedConnection, BoundedTLSConnection

logger = logging.getLogger(__name__)

SUBSCRIBE_WITHIN_SECONDS = 1.0
REST_SECONDS = 5.0
"""How long a store that did not answer is left alone by publishes."""


class ResultConsumer(redis.ResultConsumer):
    """Waits for results; lets go of none while the interpreter shuts down."""

    _rest_until = 0.0
    _pubsub: Any

    def cancel_for(self, task_id: str) -> None:
        """Stop waiting for a result.

        A result that is collected at the interpreter's end would open a connection for it, which is too late then:
        Celery prints ``Exception ignored in … AsyncResult.__del__``.
        """
        if not sys.is_finalizing():
            super().cancel_for(task_id)

    def expect(self, task_id: str) -> None:
        """Listen for the result of a task that is about to be published, if the store can be told of it soon.

        Else ``get`` does so, which looks for a result that is there already.  A store that is out of reach costs a
        publish a second at most, and the publishes of the next seconds nothing.
        """
        if monotonic() < self._rest_until:
            return
        if not self._pubsub_lock.acquire(timeout=SUBSCRIBE_WITHIN_SECONDS):  # somebody reconnects
            return
        try:
            with at_most(SUBSCRIBE_WITHIN_SECONDS), self._locked():
                self._subscribe(self._get_key_for_task(task_id))
        except self._connection_errors as error:
            self._rest_until = monotonic() + REST_SECONDS
            logger.warning("The result store does not answer, tasks are published all the same: %s", error)
        finally:
            self._pubsub_lock.release()

    def _subscribe(self, key: str) -> None:
        if self._pubsub is None:
            self._pubsub = self.backend.client.pubsub(ignore_subscribe_messages=True)
        self._pending_unsubscribe.discard(key)
        if key in self.subscribed_to:
            return
        try:
            self._pubsub.subscribe(key)
        except self._connection_errors:
            self._reconnect_pubsub()
            self._pubsub.subscribe(key)
        self.subscribed_to.add(key)


class RedisBackend(redis.RedisBackend):
    """Celery's Redis result store with that consumer, over connections that keep the deadline of a publish."""

    ResultConsumer = ResultConsumer
    connection_class_ssl = BoundedTLSConnection

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        given = self.connparams.get("connection_class", redis_client.Connection)
        bounded = {redis_client.Connection: BoundedConnection, redis_client.SSLConnection: BoundedTLSConnection}
        self.connparams["connection_class"] = bounded.get(given, given)

    def on_task_call(self, producer: Any, task_id: str) -> None:  # noqa: ARG002 - Celery's signature
        """Prepare for the result of a task that is about to be published."""
        if not task_join_will_block():
            self.result_consumer.expect(task_id)


BACKENDS = {"redis": "shared.results:RedisBackend", "rediss": "shared.results:RedisBackend"}
"""The result stores that differ from Celery's, by the scheme of their URL."""
