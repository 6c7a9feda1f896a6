"""The test fleet with tasks that tell when they ran: ``celery -A tests.fleet.delaying worker``."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import redis
from celery.exceptions import Reject

from shared.delays.mover import Mover
from shared.settings import load_settings
from tests.fleet.app import app


def results() -> redis.Redis:
    """The database of results: that of shared state is not there in some tests."""
    return redis.Redis.from_url(load_settings().results_url.get_secret_value(), socket_timeout=None)


@app.task(name="delay.tell", bind=True)
def tell(self, key, value):
    """Append what ran, when, and for when it was meant."""
    with results() as client:
        client.rpush(key, json.dumps([value, time.time(), self.request.eta]))


@app.task(name="delay.retry", bind=True, max_retries=1)
def retry(self, key, seconds, queue=None):
    tell.run(key, self.request.retries)
    if not self.request.retries:
        raise self.retry(countdown=seconds, **({"queue": queue} if queue else {}))
    return self.request.eta


@app.task(name="delay.retry_after_a_sign", bind=True, max_retries=1)
def retry_after_a_sign(self, key, seconds):
    """Retry, over a connection to shared state that was there before the sign."""
    app.state.client.ping()
    tell.run(key, self.request.retries)
    if not self.request.retries:
        with results() as client:
            client.blpop(f"sign:{key}", 60)
        raise self.retry(countdown=seconds)
    return self.request.eta


@app.task(name="delay.wait_for_sign", bind=True)
def wait_for_sign(self, key):
    tell.run(key, "waits")
    with results() as client:
        client.blpop(f"sign:{key}", 120)


@app.task(name="delay.give_back", bind=True)
def give_back(self, key):
    """Reject the first delivery, and return whether this is another one."""
    again = self.request.delivery_info["redelivered"]
    if not again:
        raise Reject("to another", requeue=True)
    return again


def give_sign(key: str) -> None:
    """Let the task go on that waits for it."""
    with results() as client:
        client.rpush(f"sign:{key}", 1)


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
