"""What a task of the benchmarks does: one INCR, and at its process's first task a sign that this process is up.

It runs in every environment, so it knows redis-py and the standard library alone.
"""

from __future__ import annotations

import os
from functools import cache

import redis
import redis.asyncio

URL = "BENCH_COUNTER_URL"
BROKER = "BENCH_BROKER_URL"
DONE = "bench:done"
UP = "bench:up"

_told: set[int] = set()


def broker_url() -> str:
    """Return the URL of the broker of this process."""
    return os.environ[BROKER]


@cache
def client() -> redis.Redis:
    """Return the client of this process, which waits for an answer as long as it takes."""
    return redis.Redis.from_url(os.environ[URL], socket_timeout=None)


@cache
def async_client() -> redis.asyncio.Redis:
    """Return the client of this process for coroutines; it has one event loop."""
    return redis.asyncio.Redis.from_url(os.environ[URL])


def count() -> None:
    """Count one task."""
    if _is_first():
        client().sadd(UP, os.getpid())
    client().incr(DONE)


async def count_async() -> None:
    """Count one task of a process that runs coroutines."""
    if _is_first():
        client().sadd(UP, os.getpid())
    await async_client().incr(DONE)


def _is_first() -> bool:
    pid = os.getpid()
    if pid in _told:
        return False
    _told.add(pid)
    return True
