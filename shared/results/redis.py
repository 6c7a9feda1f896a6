"""The result store in Redis: no publish depends on it, and who waits for a result waits over its outages."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from time import monotonic
from typing import Any

import redis as redis_client
from celery._state import task_join_will_block
from celery.backends import redis
from celery.exceptions import BackendGetMetaError, TimeoutError  # noqa: A004 - the one that get() raises
from redis import exceptions

from shared.bulk import bulk_under_way
from shared.deadlines import at_most
from shared.results.store import AT_LEAST_SECONDS, OUT_OF_REACH_SECONDS, FleetStore
from shared.transports.redis_connections import BoundedConnection, BoundedTLSConnection

logger = logging.getLogger(__name__)

SUBSCRIBE_WITHIN_SECONDS = 1.0
REST_SECONDS = 5.0
"""How long a store that did not answer is left alone by publishes."""
RECONNECT_WITHIN_SECONDS = 2.0
UNSUBSCRIBE_TOGETHER = 500
UNSUBSCRIBE_EVERY_SECONDS = 0.05
"""Who lets go of the results of a group does so one by one, and a command for each took as long as publishing it."""

OUT_OF_REACH = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    OSError,
)
REFUSED = (exceptions.AuthenticationError, exceptions.AuthorizationError)
"""Connection errors, to redis-py, that no waiting mends."""


class ResultConsumer(redis.ResultConsumer):
    """Waits for results; lets go of none while the server is away or the interpreter shuts down."""

    _rest_until = 0.0
    _unsubscribed_at = 0.0
    _pubsub: Any
    _lost_by: Exception | None = None
    """What went wrong with the connection, until there is another."""

    def stop(self) -> None:
        """Close the connection; no result that is collected later opens another one, only to unsubscribe on it."""
        super().stop()
        with self._locked():
            self._pubsub = None
            self.subscribed_to.clear()

    def cancel_for(self, task_id: str) -> None:
        """Stop waiting for a result, together with others that come soon after.

        The last ones, fewer than ``UNSUBSCRIBE_TOGETHER``, stay until the connection is used next.

        A result that is collected at the interpreter's end would open a connection for it, which is too late then:
        Celery prints ``Exception ignored in … AsyncResult.__del__``.
        """
        if sys.is_finalizing():
            return
        self._pending_unsubscribe.add(self._get_key_for_task(task_id))
        many = len(self._pending_unsubscribe) >= UNSUBSCRIBE_TOGETHER
        if many or monotonic() - self._unsubscribed_at > UNSUBSCRIBE_EVERY_SECONDS:
            self._flush_pending_unsubscribe()

    def expect(self, task_ids: Collection[str]) -> None:
        """Listen for the results of tasks that are about to be published, if the store can be told of them soon.

        Else ``get`` does so, which looks for a result that is there already.  A store that is out of reach costs a
        publish a second at most, and the publishes of the next seconds nothing.
        """
        if monotonic() < self._rest_until:
            return
        if not self._pubsub_lock.acquire(timeout=SUBSCRIBE_WITHIN_SECONDS):  # somebody reconnects
            return
        try:
            with at_most(SUBSCRIBE_WITHIN_SECONDS), self._locked():
                self._subscribe([self._get_key_for_task(each) for each in task_ids])
        except self._connection_errors as error:
            self._rest_until = monotonic() + REST_SECONDS
            logger.warning("The result store does not answer, tasks are published all the same: %s", error)
        finally:
            self._pubsub_lock.release()

    def consume_from(self, task_id: str) -> None:
        """Listen for the result of a task; while the connection is lost, as soon as there is another.

        Those of tasks whose messages wait to be sent in bulk are asked for with one command, just before.
        """
        if (batch := bulk_under_way()) is not None and batch.holds(task_id):
            batch.expect(self, task_id)
            return
        with self._locked():
            if self._lost_by is None:
                super().consume_from(task_id)
            else:
                self.subscribed_to.add(self._get_key_for_task(task_id))

    def _flush_pending_unsubscribe(self) -> None:
        """Unsubscribe with one command, unless the connection is in use: whoever uses it does so then.

        Celery's takes a command for each key.  The same rules hold here: see its comments.
        """
        if self._lock_depth.value:
            return
        while self._pending_unsubscribe and self._pubsub_lock.acquire(blocking=False):
            self._lock_depth.value += 1
            try:
                self._unsubscribe()
            finally:
                self._lock_depth.value -= 1
                self._pubsub_lock.release()

    def _unsubscribe(self) -> None:
        self._unsubscribed_at = monotonic()
        pending = [self._pending_unsubscribe.pop() for _ in range(len(self._pending_unsubscribe))]
        known = self.subscribed_to.intersection(pending)
        self.subscribed_to.difference_update(known)
        if known and self._pubsub:
            with self.reconnect_on_error():
                self._pubsub.unsubscribe(*known)

    def on_wait_for_pending(self, result: Any, **options: Any) -> None:
        """Look for a result that is there already, if the server can be asked."""
        timeout = options.get("timeout")
        try:
            with at_most(OUT_OF_REACH_SECONDS if timeout is None else max(timeout, AT_LEAST_SECONDS)):
                super().on_wait_for_pending(result, **options)
        except (BackendGetMetaError, *OUT_OF_REACH) as error:
            with self._locked():
                self._lose(error)

    def drain_events(self, timeout: float | None = None) -> None:
        """Wait for what the server tells; connect again first where the connection was lost."""
        if self._lost_by is not None:
            with self._locked():
                self._reconnect()
        super().drain_events(timeout)

    def _wait_for_pending(self, result: Any, timeout: float | None = None, **options: Any) -> Iterator[None]:
        try:
            yield from super()._wait_for_pending(result, timeout=timeout, **options)
        except TimeoutError:
            if self._lost_by is None:
                raise
            raise TimeoutError(
                f"No result within {timeout:g} s: {self.backend.unreachable(self._lost_by)}"
            ) from self._lost_by

    def _reconnect(self) -> None:
        """Connect again, once, and fetch what came in the meantime; else the next turn of who waits tries.

        Celery tries for twenty seconds, whatever the timeout of ``get``, and then wants the process restarted.
        """
        try:
            with at_most(RECONNECT_WITHIN_SECONDS):
                self._reconnect_pubsub()
        except self._connection_errors as error:
            self._lose(error)
        else:
            self._lost_by = None

    def _lose(self, error: Exception) -> None:
        if self._lost_by is None:
            logger.warning("Results can't be waited for now, and will be: %s", error)
        self._pubsub, self._lost_by = None, error

    def _subscribe(self, keys: Sequence[str]) -> None:
        if self._lost_by is not None:
            self._reconnect_pubsub()
            self._lost_by = None
        elif self._pubsub is None:
            self._pubsub = self.backend.client.pubsub(ignore_subscribe_messages=True)
        self._pending_unsubscribe.difference_update(keys)
        new = [key for key in keys if key not in self.subscribed_to]
        if not new:
            return
        try:
            self._pubsub.subscribe(*new)
        except self._connection_errors:
            self._reconnect_pubsub()
            self._pubsub.subscribe(*new)
        self.subscribed_to.update(new)


class RedisBackend(FleetStore, redis.RedisBackend):
    """Celery's Redis result store with that consumer, over connections that keep the deadline of a publish."""

    ResultConsumer = ResultConsumer
    connection_class_ssl = BoundedTLSConnection

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        given = self.connparams.get("connection_class", redis_client.Connection)
        bounded = {redis_client.Connection: BoundedConnection, redis_client.SSLConnection: BoundedTLSConnection}
        self.connparams["connection_class"] = bounded.get(given, given)

    def close(self) -> None:
        """Close the connections of this process."""
        self.result_consumer.stop()
        self.client.connection_pool.disconnect()

    def is_out_of_reach(self, error: Exception) -> bool:
        """Tell whether Redis does not answer, still loads its data, or is full."""
        return isinstance(error, OUT_OF_REACH) and not isinstance(error, REFUSED)

    def on_task_call(self, producer: Any, task_id: str) -> None:  # noqa: ARG002 - Celery's signature
        """Prepare for the result of a task that is about to be published."""
        if task_join_will_block():
            return
        if (batch := bulk_under_way()) is not None:
            batch.expect(self.result_consumer, task_id)
        else:
            self.result_consumer.expect([task_id])

    def ensure(self, fun: Callable[..., Any], args: Any, **_policy: Any) -> Any:
        """Carry out a command, for as long as is waited for any other; Celery has a second count of tries here."""
        return self._ensure_retryable(fun, *args)

    def _set(self, key: str, value: Any, expires: int | None = None) -> None:
        """Store a value and announce it in one step; Celery's command for it is one that redis-py warns of."""
        expires = self.expires if expires is None else expires
        with self.client.pipeline() as pipe:
            pipe.set(key, value, ex=expires or None)
            pipe.publish(key, value)
            pipe.execute()

    def count_in_store(self, request: Any, state: str, result: Any, **options: Any) -> None:
        """Count a member of a chord that is Celery's own, and publish the body after the last.

        When an answer is lost, this process may hold the claim on the body without knowing it: only when that has run
        out can it be had again.
        """
        count = partial(super().count_in_store, request, state, result, **options)
        claim = max(5, int((self.app.conf.result_chord_join_timeout or 5.0) * 2))  # as Celery's redis.py counts it
        self.kept(count, pause=claim + 1.0)

    def _unpack_chord_result(self, tup: Any, decode: Callable[[Any], list[Any]], **options: Any) -> Any:
        def resolve(encoded: Any) -> list[Any]:
            *head, result = decode(encoded)
            return [*head, self.resolved(result)]

        return super()._unpack_chord_result(tup, resolve, **options)
