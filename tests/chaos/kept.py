"""What a Redis still has of tasks that were not executed: with a message they are late, without one they are gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import redis

NO_MESSAGES = (b"celery-task-meta-", b"rl:dlq", b"rl:idem", b"rl:m:", b"rl:slo", b"rl:task_durations")
"""Keys from which nothing is started: results, dead letters, and what relier counts and remembers."""
DEAD_LETTERS = "rl:dlq"
"""Those of relier."""


def kept(url: str, tasks: Collection[str]) -> set[str]:
    """Return of which of these tasks a database has something that they may be started from."""
    with redis.Redis.from_url(url) as client:
        values = b"\n".join(value for key in client.scan_iter() for value in _values(client, key))
    return {task for task in tasks if task.encode() in values}


def relier_dead_letters(url: str) -> set[str]:
    """Return the tasks that relier has put aside."""
    with redis.Redis.from_url(url) as client:
        return {bytes(key).decode() for key in client.hkeys(DEAD_LETTERS)}


def _values(client: Any, key: bytes) -> Iterator[bytes]:
    if key.startswith(NO_MESSAGES):
        return
    match client.type(key):
        case b"list":
            yield from client.lrange(key, 0, -1)
        case b"hash":
            yield key
            yield from client.hvals(key)
        case b"string":
            yield client.get(key) or b""
