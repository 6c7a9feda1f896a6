"""What the one gate costs: ``make bench`` publishes with stock Celery, ``FleetCelery`` and the brokers' own clients.

All publish to the same broker, in turn: one message at a time, some hundred together, and as a group.  Machines are
noisy, so rounds are interleaved, and the ratios of their medians are what counts.  The raw clients are the limit: they
send text of the same length, encoded beforehand, and make no results.  On RabbitMQ ``FleetCelery`` and they wait until
the broker has each message; stock Celery does so where it says "confirmed".
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from amqp import Message
from celery import Celery, group
from kombu import Connection, Exchange, Queue
from pydantic import SecretStr
from redis import Redis

from benchmarks.raw_rabbitmq import Confirmed
from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from shared.brokers import Broker, Brokers
from shared.bulk import publish_many
from shared.celery_app import FleetCelery
from shared.configuration import TRANSPORT_OPTIONS
from shared.queues import QueueSpec
from shared.routing import TaskSpec

ROUNDS = 7
ONE_BY_ONE = 300
TOGETHER = 2000
AT_ONCE = 500
MEMBERS = 10_000
TASK = "bench.task"
PAYLOAD = "x" * 1000
"""As long as a message of a task in Redis; RabbitMQ's are shorter, and this changes nothing there."""

HEADERS: dict[str, Any] = {
    **dict.fromkeys(("lang", "task", "argsrepr", "kwargsrepr", "origin"), "somewhat-short"),
    **dict.fromkeys(("id", "root_id"), "0" * 36),
    **dict.fromkeys(("shadow", "eta", "expires", "group", "group_index", "parent_id", "stamped_headers")),
    **dict.fromkeys(("retries", "replaced_task_nesting", "message_version", "ignore_result"), 1),
    "timelimit": [None, None],
    "stamps": {},
    "published_at": 1.5,
}
"""Those of a task; RabbitMQ reads them, and takes its time for that."""

Publish = Callable[[int], object]


class Way(NamedTuple):
    """A way to publish so many messages, beside others of its kind."""

    kind: str
    name: str
    publish: Publish
    messages: int
    rounds: int = ROUNDS


class Took(NamedTuple):
    """What one message took, in microseconds."""

    wall: float
    cpu: float
    """Of this process."""


def noop(number: int) -> None:
    """Do nothing; nobody runs it."""


def stock_app(url: str, queue: Queue, **options: Any) -> Celery:
    """Return a stock app."""
    kind = Broker("only", SecretStr(url)).kind
    app = Celery("stock", broker=url, set_as_current=False, task_ignore_result=True)
    app.conf.update(
        task_queues=[queue],
        task_default_queue=queue.name,
        broker_transport_options={**TRANSPORT_OPTIONS[kind], **options},
    )
    app.task(name=TASK)(noop)
    return app


def fleet_app(url: str, queue: Queue) -> FleetCelery:
    """Return a fleet's app."""
    app = FleetCelery(
        "fleet",
        brokers=Brokers([Broker("only", SecretStr(url))]),
        queues=[QueueSpec(queue=queue, broker="only", service="bench")],
        tasks=[TaskSpec(TASK, queue.name)],
        defaults={"task_ignore_result": True},
    )
    app.task(name=TASK)(noop)
    return app


def repeated(publish: Callable[[], object]) -> Publish:
    """Return what publishes so many messages one at a time."""

    def one_by_one(number: int) -> None:
        for _ in range(number):
            publish()

    return one_by_one


def group_of(task: Any) -> Publish:
    """Return what publishes a group, its signatures made anew."""
    return lambda number: group([task.s(each) for each in range(number)]).apply_async()


def celery_ways(url: str, queue: Queue) -> list[Way]:
    """Return the ways of stock Celery and of a fleet."""
    stock, fleet = stock_app(url, queue), fleet_app(url, queue)
    task, other = fleet.tasks[TASK], stock.tasks[TASK]
    return [
        Way("one", "stock Celery", repeated(lambda: other.delay(1)), ONE_BY_ONE),
        Way("one", "FleetCelery", repeated(lambda: task.delay(1)), ONE_BY_ONE),
        Way("bulk", "FleetCelery", lambda number: publish_many(task.s(each) for each in range(number)), TOGETHER),
        Way("group", "stock Celery", group_of(other), MEMBERS // 5, 3),
        Way("group", "FleetCelery", group_of(task), MEMBERS, 3),
    ]


@contextmanager
def redis_ways(url: str) -> Iterator[list[Way]]:
    """Yield the ways of redis-py."""
    with Redis.from_url(url) as client:

        def pipeline(number: int) -> None:
            for start in range(0, number, AT_ONCE):
                with client.pipeline(transaction=False) as pipe:
                    for _ in range(start, min(number, start + AT_ONCE)):
                        pipe.lpush("raw", PAYLOAD)
                    pipe.execute()

        yield [
            Way("one", "raw", repeated(lambda: client.lpush("raw", PAYLOAD)), ONE_BY_ONE),
            Way("bulk", "raw", pipeline, TOGETHER),
        ]


@contextmanager
def rabbitmq_ways(url: str, queue: Queue) -> Iterator[list[Way]]:
    """Yield the ways of py-amqp, and that of stock Celery with the same confirms."""
    confirmed = stock_app(url, queue, confirm_publish=True).tasks[TASK]
    message = Message(PAYLOAD, delivery_mode=2)
    as_of_a_task = Message("x" * 90, delivery_mode=2, correlation_id="0" * 36, application_headers=HEADERS)
    with Confirmed(url, "raw") as raw:

        def batches_of(message: Message) -> Publish:
            def batches(number: int) -> None:
                for _ in range(0, number, AT_ONCE):
                    raw.publish([message] * AT_ONCE)

            return batches

        yield [
            Way("one", "stock Celery, confirmed", repeated(lambda: confirmed.delay(1)), ONE_BY_ONE),
            Way("one", "raw, confirmed", repeated(lambda: raw.publish([message])), ONE_BY_ONE),
            Way("bulk", "raw, confirmed", batches_of(message), TOGETHER),
            Way("bulk", "raw, confirmed, with headers", batches_of(as_of_a_task), TOGETHER),
        ]


def took(way: Way) -> Took:
    """Return what a message of a round took."""
    wall, cpu = time.perf_counter(), time.process_time()
    way.publish(way.messages)
    return Took(*(passed / way.messages * 1e6 for passed in (time.perf_counter() - wall, time.process_time() - cpu)))


def compare(name: str, ways: list[Way], empty: Callable[[], object]) -> None:
    """Measure all ways of each kind in turn, and print what a message takes."""
    for way in ways:
        way.publish(10)  # connections are made and caches filled before anything counts
    print(f"{name:10} {'':30} {'a second':>10} {'µs':>8} {'µs of CPU':>10}   spread of rounds, a second")
    for kind in ("one", "bulk", "group"):
        of_kind = [way for way in ways if way.kind == kind]
        found: dict[str, list[Took]] = {way.name: [] for way in of_kind}
        for number in range(max(way.rounds for way in of_kind)):
            for way in of_kind:
                if number < way.rounds:
                    found[way.name].append(took(way))
            empty()
        for way in of_kind:
            rounds = found[way.name]
            wall, cpu = (statistics.median(values) for values in zip(*rounds, strict=True))
            spread = sorted(1e6 / each.wall for each in rounds)
            print(
                f"{kind:10} {way.name:30} {1e6 / wall:10,.0f} {wall:8.0f} {cpu:10.0f}   "
                f"{spread[0]:,.0f} … {spread[-1]:,.0f}"
            )
    print()


def main() -> None:
    """Compare on a Redis and a RabbitMQ of our own."""
    print(f"{ROUNDS} interleaved rounds; groups of {MEMBERS:,} for FleetCelery; medians.\n")
    queue = Queue("bench", Exchange("bench", type="direct"), "bench")
    with TemporaryDirectory() as folder:
        with LocalRedis(Path(folder) / "redis") as server:
            compare_on_redis(server.url(0), queue)
        with LocalRabbitMQ(Path(folder) / "rabbitmq") as rabbitmq:
            compare_on_rabbitmq(rabbitmq.url, queue)


def compare_on_redis(url: str, queue: Queue) -> None:
    """Compare on a Redis that nobody else uses."""
    with redis_ways(url) as raw, Redis.from_url(url) as client:
        compare("Redis", [*celery_ways(url, queue), *raw], client.flushdb)


def compare_on_rabbitmq(url: str, queue: Queue) -> None:
    """Compare on a RabbitMQ that nobody else uses."""

    def purge() -> None:
        with Connection(url) as connection:
            for name in (queue.name, "raw"):
                connection.default_channel.queue_purge(name)

    with rabbitmq_ways(url, queue) as raw:
        compare("RabbitMQ", [*celery_ways(url, queue), *raw], purge)


if __name__ == "__main__":
    main()
