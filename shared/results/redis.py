"""The result store in Redis: no publish depends on it, and who waits for a result waits over its outages."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterator
from functools import cached_property, partial
from time import monotonic
from typing import Any

import redis as redis_client
from celery.backends import redis
from celery.exceptions import BackendGetMetaError, TimeoutError  # noqa: A004 - the one that get() raises
from redis import exceptions
from redis.commands.core import Script

from shared.bulk import bulk_under_way
from shared.deadlines import at_most
from shared.redis_scripts import ScriptRunner
from shared.results.store import AT_LEAST_SECONDS, OUT_OF_REACH_SECONDS, FleetStore
from shared.transports.redis_connections import BoundedConnection, BoundedTLSConnection

logger = logging.getLogger(__name__)

LISTEN_WITHIN_SECONDS = 2.0
"""What one try gets; who waits tries again until its own time is up."""
LISTEN_EVERY_SECONDS = 0.05
"""Who waits while another thread publishes a group would else have a command for every few of its members."""
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


STORE = """
local known = redis.call('GET', KEYS[1])
if known then
  local succeeded
  if string.sub(known, 1, 12) == '{"status": "' then
    succeeded = string.sub(known, 13, 20) == 'SUCCESS"'
  else
    local read, meta = pcall(cjson.decode, known)
    succeeded = read and type(meta) == 'table' and meta.status == 'SUCCESS'
  end
  if succeeded then return 0 end
end
if ARGV[2] == '' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""
"""KEYS: a result.  ARGV: what is known of its task now, as JSON; for how many seconds.
The result of a task that has succeeded stays.  What kombu wrote has its status in front and is not read whole."""


class ResultConsumer(redis.ResultConsumer):
    """Waits for results; lets go of none while the server is away or the interpreter shuts down."""

    _listened_at = 0.0
    _unsubscribed_at = 0.0
    _pubsub: Any
    _lost_by: Exception | None = None
    """What went wrong with the connection, until there is another."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unheard: set[str] = set()
        """The keys that nobody listens for yet: of results that nobody has waited for, or of a lost connection."""

    def stop(self) -> None:
        """Close the connection; no result that is collected later opens another one, only to unsubscribe on it."""
        super().stop()
        with self._locked():
            self._pubsub = None
            self._unheard.clear()
            self.subscribed_to.clear()

    def on_after_fork(self) -> None:
        """Give up the connection of the parent process; who waits here for what it waited for listens anew."""
        super().on_after_fork()
        self._forget_connection()

    def consume_from(self, task_id: str) -> None:
        """Listen for the result of a task as soon as somebody waits for any result.

        Until then it costs no command: most results of those who publish much are never waited for.  The members of a
        group, which come here while they are published, are left to the next turn of whoever waits already, within a
        second: it listens for all of them together.
        """
        key = self._get_key_for_task(task_id)
        self._pending_unsubscribe.discard(key)
        self._unheard.add(key)
        if self._socket_waiter and bulk_under_way() is None:
            with self._locked():
                self._listen()

    def cancel_for(self, task_id: str) -> None:
        """Stop waiting for a result, together with others that come soon after.

        The last ones, fewer than ``UNSUBSCRIBE_TOGETHER``, stay until the connection is used next.

        A result that is collected at the interpreter's end would open a connection for it, which is too late then:
        Celery prints ``Exception ignored in … AsyncResult.__del__``.
        """
        if sys.is_finalizing():
            return
        key = self._get_key_for_task(task_id)
        self._unheard.discard(key)
        self._pending_unsubscribe.add(key)
        self._flush_pending_unsubscribe()

    def _flush_pending_unsubscribe(self) -> None:
        """Unsubscribe with one command for many, unless the connection is in use: whoever uses it does so then.

        Celery's takes a command for each key.  The same rules hold here: see its comments.
        """
        if self._lock_depth.value:
            return
        while self._is_time_to_unsubscribe() and self._pubsub_lock.acquire(blocking=False):
            self._lock_depth.value += 1
            try:
                self._unsubscribe()
            finally:
                self._lock_depth.value -= 1
                self._pubsub_lock.release()

    def _is_time_to_unsubscribe(self) -> bool:
        pending = len(self._pending_unsubscribe)
        long_ago = monotonic() - self._unsubscribed_at > UNSUBSCRIBE_EVERY_SECONDS
        return pending >= UNSUBSCRIBE_TOGETHER or (pending > 0 and long_ago)

    def _unsubscribe(self) -> None:
        self._unsubscribed_at = monotonic()
        pending = [self._pending_unsubscribe.pop() for _ in range(len(self._pending_unsubscribe))]
        known = self.subscribed_to.intersection(pending)
        self.subscribed_to.difference_update(known)
        if known and self._pubsub:
            with self.reconnect_on_error():
                self._pubsub.unsubscribe(*known)

    def on_wait_for_pending(self, result: Any, **options: Any) -> None:
        """Listen, and look for a result that is there already, if the server can be asked."""
        timeout = options.get("timeout")
        try:
            with at_most(OUT_OF_REACH_SECONDS if timeout is None else max(timeout, AT_LEAST_SECONDS)):
                with self._locked():
                    self._listen(looked_for={self._get_key_for_task(each) for each in _ids_in(result)})
                super().on_wait_for_pending(result, **options)
        except (BackendGetMetaError, *OUT_OF_REACH) as error:
            with self._locked():
                self._lose(error)

    def drain_events(self, timeout: float | None = None) -> None:
        """Wait for what the server tells; listen first for what is waited for since, or again."""
        if self._unheard and monotonic() - self._listened_at > LISTEN_EVERY_SECONDS:
            with self._locked():
                self._listen()
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

    def _listen(self, looked_for: Collection[str] = ()) -> None:
        """Subscribe to what nobody listens for yet, then look for what is there already; else the next turn tries.

        Celery subscribes before each publish, and after an outage tries for twenty seconds, whatever the timeout of
        ``get``, and then wants the process restarted.

        Args:
            looked_for: Keys that the caller will look for.
        """
        keys = self._unheard.copy()  # results that are collected meanwhile leave it
        if not keys:
            return
        self._listened_at = monotonic()
        try:
            with at_most(LISTEN_WITHIN_SECONDS):
                if self._pubsub is None:
                    self._pubsub = self.backend.client.pubsub(ignore_subscribe_messages=True)
                self._pubsub.subscribe(*keys)
                self._unheard -= keys
                self.subscribed_to |= keys
                self._look_for(keys.difference(looked_for))
        except OUT_OF_REACH as error:
            self._lose(error)
        else:
            self._lost_by = None

    def _look_for(self, keys: Collection[str]) -> None:
        for meta in self.backend.client.mget(keys) if keys else ():
            if meta:
                self.on_state_change(self._decode_result(meta), None)

    def _reconnect(self) -> None:
        """Connect again, and fetch what came in the meantime."""
        self._forget_connection()
        self._listen()

    def _lose(self, error: Exception) -> None:
        if self._lost_by is None:
            logger.warning("Results can't be waited for now, and will be: %s", error)
        self._lost_by = error
        self._forget_connection()

    def _forget_connection(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            pubsub.close()
        self._unheard |= self.subscribed_to - self._pending_unsubscribe
        self.subscribed_to.clear()
        self._pending_unsubscribe.clear()


def _ids_in(result: Any) -> list[str]:
    """Return the ids that a result looks for: its own, or those of its members."""
    members = getattr(result, "results", None)
    return [result.id] if members is None else [each.id for each in members]


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
        self._scripts.close()

    def is_out_of_reach(self, error: Exception) -> bool:
        """Tell whether Redis does not answer, still loads its data, or is full."""
        return isinstance(error, OUT_OF_REACH) and not isinstance(error, REFUSED)

    def ensure(self, fun: Callable[..., Any], args: Any, **_policy: Any) -> Any:
        """Carry out a command, for as long as is waited for any other; Celery has a second count of tries here."""
        return self._ensure_retryable(fun, *args)

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **options: Any
    ) -> Any:
        """Store and announce what became of a task in one round trip, where Celery's takes two and can be overtaken."""
        if self.serializer != "json":
            return super()._store_result(task_id, result, state, traceback, request, **options)
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        text = self.encode({**meta, "task_id": task_id})
        self._scripts.run(self._storing, [self.get_key_for_task(task_id)], [text, self.expires or ""])
        return result

    @cached_property
    def _scripts(self) -> ScriptRunner:
        return ScriptRunner(self.client)

    @cached_property
    def _storing(self) -> Script:
        script: Script = self.client.register_script(STORE)
        return script

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
