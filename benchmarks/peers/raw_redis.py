"""redis-py as bare as it gets: the limit that a queue on Redis has in Python."""

from __future__ import annotations

import json
from functools import cache

import redis

from benchmarks.peers.counting import broker_url, count

LIST = "bench.raw"
PAYLOAD = json.dumps({"text": "x" * 1000})
"""About as long as a task's message in Redis."""
AT_ONCE = 500


@cache
def broker() -> redis.Redis:
    """Return the client of this process, which waits for a message as long as it takes."""
    return redis.Redis.from_url(broker_url(), socket_timeout=None)


def publish(number: int) -> None:
    """Push so many messages, one at a time."""
    client = broker()
    for _ in range(number):
        client.lpush(LIST, PAYLOAD)


def publish_many(number: int) -> None:
    """Push so many messages, some hundred in each pipeline."""
    for start in range(0, number, AT_ONCE):
        with broker().pipeline(transaction=False) as pipe:
            for _ in range(start, min(number, start + AT_ONCE)):
                pipe.lpush(LIST, PAYLOAD)
            pipe.execute()


def main() -> None:
    """Pop messages, decode them and count, for good."""
    client = broker()
    while True:
        _, message = client.brpop([LIST])  # type: ignore[misc]
        json.loads(message)
        count()


if __name__ == "__main__":
    main()
