"""arq on Redis, in the environment of its own: it wants an older redis-py.

No results are kept, and 100 jobs run at once instead of 10: https://arq-docs.helpmanual.io/#arq.worker.Worker
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.peers.counting import broker_url, count_async

AT_ONCE = 100


async def nothing(_context: dict[str, Any]) -> None:
    """Count."""
    await count_async()


class WorkerSettings:
    """What ``arq`` is given."""

    functions: ClassVar = [nothing]
    redis_settings = RedisSettings.from_dsn(broker_url())
    max_jobs = AT_ONCE
    keep_result = 0
    poll_delay = 0.05


def publish(number: int) -> None:
    """Publish so many jobs, one at a time."""
    runner, pool = connected()
    runner.run(_publish(pool, number))


@cache
def connected() -> tuple[asyncio.Runner, Any]:
    """Return the event loop of this process and its connections."""
    runner = asyncio.Runner()
    return runner, runner.run(create_pool(WorkerSettings.redis_settings))


async def _publish(pool: Any, number: int) -> None:
    for _ in range(number):
        await pool.enqueue_job("nothing")
