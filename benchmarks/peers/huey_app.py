"""Huey on Redis, made when it is imported, as its documentation has it.

No results are stored (``results=False``), and ``RedisHuey`` pops with a blocking call, the faster of its two ways:
https://huey.readthedocs.io/en/latest/api.html#RedisHuey.  Its consumer runs two processes, without the scheduler of
periodic tasks and quietly: https://huey.readthedocs.io/en/latest/consumer.html#options-for-the-consumer
"""

from __future__ import annotations

from huey import RedisHuey

from benchmarks.peers.counting import broker_url, count

huey = RedisHuey("bench", url=broker_url(), results=False)


@huey.task()
def nothing() -> None:
    """Count."""
    count()


def publish(number: int) -> None:
    """Publish so many tasks, one at a time."""
    for _ in range(number):
        nothing()
