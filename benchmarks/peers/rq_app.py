"""RQ on Redis.

Its fastest worker runs jobs in its own process (``SimpleWorker``), here two of them, with JSON.  Results are not kept:
``result_ttl=0``.  https://github.com/rq/rq/blob/master/docs/benchmark.md
"""

from __future__ import annotations

from functools import cache

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks.peers.counting import broker_url, count

QUEUE = "bench"
AT_ONCE = 500


@cache
def queue() -> Queue:
    """Return the queue."""
    return Queue(QUEUE, connection=redis.Redis.from_url(broker_url()), serializer=JSONSerializer)


def nothing() -> None:
    """Count."""
    count()


def publish(number: int) -> None:
    """Publish so many jobs, one at a time."""
    for _ in range(number):
        queue().enqueue(nothing, result_ttl=0)


def publish_many(number: int) -> None:
    """Publish so many jobs, some hundred in each pipeline: https://python-rq.org/docs/#bulk-job-enqueueing."""
    for start in range(0, number, AT_ONCE):
        queue().enqueue_many(
            [Queue.prepare_data(nothing, result_ttl=0) for _ in range(start, min(number, start + AT_ONCE))]
        )
