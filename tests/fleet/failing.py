"""Tasks that fail for good, on the fleet of mishaps.  ``celery -A tests.fleet.failing worker``."""

from __future__ import annotations

import os
import signal
import time

from celery.exceptions import Ignore, Reject

from tests.fleet.mishaps import app, note, noted, task

__all__ = ["app"]


def mend(key: str) -> None:
    """Let tasks of a key succeed from now on."""
    note(f"mended-{key}", "yes")


@task("failing.until_mended", bind=True)
def until_mended(self, key, value="x"):
    note(key, f"{self.request.retries} {value}")
    if not noted(f"mended-{key}"):
        raise ValueError(f"{key} is not mended")
    return value


@task("failing.step", bind=True)
def step(self, result, key):
    note(key, f"{result} {self.request.stamps.get('colour')}")
    return result


@task("failing.retried", bind=True, max_retries=1)
def retried(self, key):
    note(key, str(self.request.retries))
    raise self.retry(exc=KeyError(key), countdown=0)


@task("failing.rejected")
def rejected(key):
    note(key, "ran")
    raise Reject("not wanted", requeue=False)


@task("failing.ignored")
def ignored(key):
    note(key, "ran")
    raise Ignore


@task("failing.quiet", keep_failures=False)
def quiet(key):
    note(key, "ran")
    raise ValueError(key)


@task("failing.early", acks_late=False)
def early(key):
    note(key, "ran")
    raise ValueError(key)


@task("failing.by_hand", bind=True)
def by_hand(self, key):
    assert self.acknowledge()
    note(key, "ran")
    raise ValueError(key)


@task("failing.killed_early", acks_late=False)
def killed_early(key):
    note(key, "ran")
    os.kill(os.getpid(), signal.SIGKILL)


@task("failing.worker_killed_early", acks_late=False)
def worker_killed_early(key):
    note(key, "ran")
    os.killpg(os.getpgid(0), signal.SIGKILL)


@task("failing.too_long", time_limit=1)
def too_long(key):
    note(key, "ran")
    time.sleep(60)
