"""Stock Celery with one broker: ``celery -A benchmarks.peers.celery_app worker``.

Tasks are acknowledged early, which is the default and the fastest.  64 messages are fetched ahead for each process or
thread, as the guide says for many short tasks, and results are ignored where nobody reads them:
https://docs.celeryq.dev/en/stable/userguide/optimizing.html#prefetch-limits
https://docs.celeryq.dev/en/stable/userguide/tasks.html#ignore-results-you-don-t-want
"""

from __future__ import annotations

import json
import os
import time
from functools import cache
from typing import Any
from uuid import uuid4

from celery import Celery, chord, group
from redis import Redis

from benchmarks.peers.counting import broker_url, client
from benchmarks.peers.probing import BATCH_SECONDS, probed
from benchmarks.peers.tasks import BODY_RAN, body, member, nothing, spin, urgent

RESULTS = "BENCH_RESULTS_URL"
PREFETCH = 64
QUEUE, URGENT = "bench", "bench.urgent"
CHORD_SECONDS = 300.0
AT_ONCE = 500
TASKS = {"bench.nothing": nothing, "bench.spin": spin, "bench.urgent": urgent, "bench.body": body}


@cache
def make_app() -> Celery:
    """Return the app, with its tasks."""
    made = Celery("bench", broker=broker_url(), set_as_current=False)
    made.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        worker_prefetch_multiplier=PREFETCH,
        result_backend=os.environ.get(RESULTS),
    )
    if os.environ.get("BENCH_CONFIRM"):
        made.conf.broker_transport_options = {"confirm_publish": True}
    for name, function in TASKS.items():
        made.task(name=name, shared=False)(function)
    made.task(name="bench.member", shared=False, ignore_result=False)(member)
    made.set_current()
    return made


def publish(number: int) -> None:
    """Publish so many tasks, one at a time."""
    task = make_app().tasks["bench.nothing"]
    for _ in range(number):
        task.delay()


def publish_group(number: int) -> None:
    """Publish a group, its signatures made anew."""
    task = make_app().tasks["bench.nothing"]
    group([task.s() for _ in range(number)]).apply_async()


def run_chord(number: int) -> None:
    """Publish a chord, and wait until its body has run."""
    tasks, counter = make_app().tasks, client()
    counter.delete(BODY_RAN)
    chord([tasks["bench.member"].s(each) for each in range(number)], tasks["bench.body"].s()).apply_async()
    found = counter.blpop([BODY_RAN], timeout=CHORD_SECONDS)
    if found is None:
        raise TimeoutError(f"The chord had not ended after {CHORD_SECONDS:g} s.")


def fill_batch(number: int) -> None:
    """Fill the queue with tasks that compute: one is published, and the others are copies with ids of their own."""
    make_app().tasks["bench.spin"].delay(BATCH_SECONDS)
    broker = Redis.from_url(broker_url())
    text: str = broker.rpop(QUEUE).decode()  # type: ignore[union-attr]
    properties = json.loads(text)["properties"]
    ids = (properties["correlation_id"], properties["delivery_tag"])
    for start in range(0, number, AT_ONCE):
        with broker.pipeline(transaction=False) as pipe:
            for _ in range(start, min(number, start + AT_ONCE)):
                pipe.lpush(QUEUE, text.replace(ids[0], str(uuid4())).replace(ids[1], str(uuid4())))
            pipe.execute()


def probe(number: int) -> float:
    """Publish urgent tasks into the one queue; return how many seconds 99 of 100 wait for their start at most."""
    return _probe(number, QUEUE)


def probe_apart(number: int) -> float:
    """Publish urgent tasks into a queue of their own; return how many seconds 99 of 100 wait at most."""
    return _probe(number, URGENT)


def _probe(number: int, queue: str) -> float:
    task = make_app().tasks["bench.urgent"]
    return probed(number, lambda: task.apply_async((time.time(),), queue=queue))


def __getattr__(name: str) -> Any:
    """Give the app when Celery's command line asks for it."""
    if name != "app":
        raise AttributeError(name)
    return make_app()
