"""The test fleet with tasks that tell when they ran: ``celery -A tests.fleet.delaying worker``."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import redis

from shared.delays.mover import Mover
from shared.settings import load_settings
from tests.fleet.app import app


def results() -> redis.Redis:
    """The database of results: that of shared state is not there in some tests."""
    return redis.Redis.from_url(load_settings().results_url.get_secret_value())


@app.task(name="delay.tell", bind=True)
def tell(self, key, value):
    """Append what ran, when, and for when it was meant."""
    with results() as client:
        client.rpush(key, json.dumps([value, time.time(), self.request.eta]))


@app.task(name="delay.retry", bind=True, max_retries=1)
def retry(self, key, seconds):
    tell.run(key, self.request.retries)
    if not self.request.retries:
        raise self.retry(countdown=seconds)
    return self.request.eta


def told(key: str) -> list[tuple]:
    """What ran, in the order in which it did."""
    with results() as client:
        return [tuple(json.loads(entry)) for entry in client.lrange(key, 0, -1)]


def move_until_killed(published: int) -> None:
    """Move, and be killed in the moment after some messages were published and before they are removed."""
    remove = app.delays.remove
    seen = []

    def remove_or_die(ids):
        seen.extend(ids)
        if len(seen) >= published:
            os.kill(os.getpid(), signal.SIGKILL)
        remove(ids)

    app.delays.remove = remove_or_die  # type: ignore[method-assign]
    Mover(app).start()
    time.sleep(60)


if __name__ == "__main__":
    move_until_killed(int(sys.argv[1]))
