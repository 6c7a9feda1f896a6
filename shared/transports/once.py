"""Puts a message into Redis once, however often its publisher tries: for messages that come from the delayed ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kombu.utils.json import dumps

MARKER = "fleet.moved:"
UNSETTLED_SECONDS = 7 * 24 * 3600
"""How long a message is known that may be published again: its publisher was killed before it could note it."""
SETTLED_SECONDS = 600
"""How long one is known that is noted as published: a process that stood still may wake and try."""

PUT_ONCE = """
if redis.call('HEXISTS', KEYS[1], KEYS[2]) == 1 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], KEYS[2], 1)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""
"""The message comes first: when it is refused, for its key is no list, nothing may say that it is there."""

_identity: ContextVar[str | None] = ContextVar("identity", default=None)


@contextmanager
def once(identity: str) -> Iterator[None]:
    """Have what is published in the block known by a name; a second message of that name is dropped."""
    token = _identity.set(identity)
    try:
        yield
    finally:
        _identity.reset(token)


def settle(channel: Any, identities: Sequence[str]) -> None:
    """Note that messages will not be published again."""
    with channel.conn_or_acquire() as client:
        pipeline = client.pipeline(transaction=False)
        for identity in identities:
            pipeline.expire(f"{MARKER}{identity}", SETTLED_SECONDS)
        pipeline.execute()


def try_to_write(channel: Any) -> None:
    """Write what a marker is, and nobody looks for.

    Raises:
        redis.RedisError: The server takes no messages either.
    """
    with channel.conn_or_acquire() as client:
        client.set(f"{MARKER}probe", 1, ex=1)


class PutOnce:
    """Part of the Redis channel: marker and message are written in one step, by a script."""

    def _put(self: Any, queue: str, message: dict[str, Any], **options: Any) -> None:
        identity = _identity.get()
        if identity is None:
            super()._put(queue, message, **options)  # type: ignore[misc]
            return
        key = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
        with self.conn_or_acquire() as client:
            client.eval(PUT_ONCE, 2, f"{MARKER}{identity}", key, dumps(message), UNSETTLED_SECONDS)
