"""Taskiq on Redis or RabbitMQ, made when it is imported, as its documentation has it.

On Redis ``ListQueueBroker`` is the faster one and knows no acknowledgements, which ``RedisStreamBroker`` has:
https://github.com/taskiq-python/taskiq-redis.  The worker has two processes, each of which runs 100 tasks at once, the
default, with uvloop: https://taskiq-python.github.io/guide/cli.html
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

from benchmarks.peers.counting import broker_url, count_async

PREFETCH = 100
"""As many as run at once; RabbitMQ's broker has 10 by default, and is slower so."""


def make_broker(url: str) -> Any:
    """Return the broker of a URL."""
    if url.startswith("redis"):
        from taskiq_redis import ListQueueBroker  # noqa: PLC0415 - each has a client of its own

        return ListQueueBroker(url)
    from taskiq_aio_pika import AioPikaBroker  # noqa: PLC0415 - as above

    return AioPikaBroker(url, qos=PREFETCH)


broker = make_broker(broker_url())


@broker.task(task_name="nothing")
async def nothing() -> None:
    """Count."""
    await count_async()


def publish(number: int) -> None:
    """Publish so many tasks, one at a time."""
    runner().run(_publish(number))


@cache
def runner() -> asyncio.Runner:
    """Return the event loop of this process, whose connections stay open from call to call."""
    made = asyncio.Runner()
    made.run(broker.startup())
    return made


async def _publish(number: int) -> None:
    for _ in range(number):
        await nothing.kiq()
