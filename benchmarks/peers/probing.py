"""How long urgent work waits: published at an even pace, noted by the tasks themselves, on one machine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.peers.counting import client

WAITED = "bench:waited"
"""List of how long each waited, in seconds."""
EVERY_SECONDS = 0.03
BATCH_SECONDS = 0.005
"""How long a batch task computes."""
GIVE_UP_SECONDS = 20.0
"""What has not started by then counts as if it started then."""
SHARE = 0.99


def waited(published: float) -> None:
    """Note how long a task waited that was published at an instant."""
    client().rpush(WAITED, time.time() - published)


def probed(number: int, publish: Callable[[], object]) -> float:
    """Publish so many at an even pace, and return the 99th percentile of what they waited, in seconds."""
    client().delete(WAITED)
    began = time.monotonic()
    for each in range(number):
        time.sleep(max(0.0, began + each * EVERY_SECONDS - time.monotonic()))
        publish()
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while client().llen(WAITED) < number and time.monotonic() < deadline:
        time.sleep(0.05)
    found = sorted(float(each) for each in client().lrange(WAITED, 0, -1))
    missing = [GIVE_UP_SECONDS] * (number - len(found))
    return [*found, *missing][min(number - 1, int(number * SHARE))]
