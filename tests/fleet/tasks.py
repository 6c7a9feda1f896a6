"""Tasks that publish others on each of the paths that Celery has."""

from __future__ import annotations

import ctypes
import gc
import sys
import time

import redis
from celery import Signature
from celery.exceptions import Ignore, Reject

from shared.settings import load_settings
from tests.fleet.app import app

PR_GET_PDEATHSIG = 2
"""Source: ``prctl(2)``."""


@app.task(name="try.echo")
def echo(*values):
    return values[0] if len(values) == 1 else list(values)


@app.task(name="try.fail")
def fail():
    raise ValueError("as asked")


@app.task(name="try.note")
def note(task_id):
    return task_id


@app.task(name="try.call", bind=True)
def call(self, queue, task_id):
    return echo.apply_async(("called",), queue=queue, task_id=task_id).id


@app.task(name="try.retry_on", bind=True, max_retries=3)
def retry_on(self, queue):
    """Retry into another queue, of whichever broker."""
    raise self.retry(queue=queue, countdown=0)


@app.task(name="try.retry_here", bind=True, max_retries=3)
def retry_here(self):
    """Retry twice as one usually writes it."""
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries, self.request.delivery_info["routing_key"]


@app.task(name="try.replace", bind=True)
def replace(self, signature):
    raise self.replace(Signature.from_dict(signature, app=app))


@app.task(name="try.log")
def log(key, value):
    """Append to a list in shared state, where a test sees the order of executions."""
    with redis.Redis.from_url(load_settings().state_url.get_secret_value()) as client:
        client.rpush(key, value)


@app.task(name="try.reject", bind=True)
def reject(self):
    raise Reject("as asked", requeue=False)


@app.task(name="try.ignore")
def ignore():
    raise Ignore


@app.task(name="try.frozen")
def frozen():
    """Return how many objects the garbage collector of this process leaves alone."""
    return gc.get_freeze_count()


@app.task(name="try.imported")
def imported(module):
    """Return whether this process has imported a module."""
    return module in sys.modules


@app.task(name="try.death_signal")
def death_signal():
    """Return which signal this process gets when its parent ends."""
    found = ctypes.c_int()
    ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(found))
    return found.value


@app.task(name="try.sleep")
def sleep(seconds):
    time.sleep(seconds)
