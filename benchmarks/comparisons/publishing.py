"""How fast one process publishes: one message at a time, some hundred together, and as a group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.harness import Kind, Series, Way
from benchmarks.processes import ARQ, PEERS, PROJECT
from benchmarks.servers import RABBITMQ, REDIS, rest

FLEET = "benchmarks.fleet_app:"
PEER = "benchmarks.peers."
WITHIN_SECONDS = 120.0
ONE_BY_ONE = 3_000
TOGETHER = 20_000
MEMBERS = 10_000


class Publisher(NamedTuple):
    """A function that publishes so many messages, in an environment."""

    name: str
    kind: Kind
    target: str
    environment: Path = PEERS
    confirmed: bool = False
    """Whether stock Celery waits for confirms."""
    rounds: int | None = None


ONE: dict[str, Sequence[Publisher]] = {
    REDIS: [
        Publisher("Switchyard", Kind.OURS, f"{FLEET}publish_redis", PROJECT),
        Publisher("Celery", Kind.STOCK, f"{PEER}celery_app:publish"),
        Publisher("Huey", Kind.PEER, f"{PEER}huey_app:publish"),
        Publisher("Dramatiq", Kind.PEER, f"{PEER}dramatiq_app:publish"),
        Publisher("Taskiq", Kind.PEER, f"{PEER}taskiq_app:publish"),
        Publisher("RQ", Kind.PEER, f"{PEER}rq_app:publish"),
        Publisher("arq", Kind.PEER, f"{PEER}arq_app:publish", ARQ),
        Publisher("redis-py, LPUSH", Kind.LIMIT, f"{PEER}raw_redis:publish"),
    ],
    RABBITMQ: [
        Publisher("Switchyard, confirmed", Kind.OURS, f"{FLEET}publish_rabbitmq", PROJECT),
        Publisher("Celery, confirmed", Kind.STOCK, f"{PEER}celery_app:publish", confirmed=True),
        Publisher("Celery, unconfirmed", Kind.STOCK, f"{PEER}celery_app:publish"),
        Publisher("Dramatiq, confirmed", Kind.PEER, f"{PEER}dramatiq_app:publish"),
        Publisher("Taskiq, confirmed", Kind.PEER, f"{PEER}taskiq_app:publish"),
        Publisher("py-amqp, confirmed", Kind.LIMIT, f"{PEER}raw_rabbitmq:publish"),
    ],
}
BULK: dict[str, Sequence[Publisher]] = {
    REDIS: [
        Publisher("Switchyard, publish_many", Kind.OURS, f"{FLEET}publish_many_redis", PROJECT),
        Publisher("RQ, enqueue_many", Kind.PEER, f"{PEER}rq_app:publish_many"),
        Publisher("redis-py, pipelines", Kind.LIMIT, f"{PEER}raw_redis:publish_many"),
    ],
    RABBITMQ: [
        Publisher("Switchyard, publish_many", Kind.OURS, f"{FLEET}publish_many_rabbitmq", PROJECT),
        Publisher("py-amqp, confirms of 500", Kind.LIMIT, f"{PEER}raw_rabbitmq:publish_many"),
        Publisher("py-amqp, with a task's headers", Kind.LIMIT, f"{PEER}raw_rabbitmq:publish_many_with_headers"),
    ],
}
GROUP: dict[str, Sequence[Publisher]] = {
    broker: [
        Publisher("Switchyard", Kind.OURS, f"{FLEET}group_{broker}", PROJECT),
        Publisher("Celery", Kind.STOCK, f"{PEER}celery_app:publish_group"),
    ]
    for broker in (REDIS, RABBITMQ)
}


def publish(bench: Bench) -> Iterator[Series]:
    """Compare publishing one message at a time."""
    for broker in (REDIS, RABBITMQ):
        yield _rates(bench, f"publish-{broker}", broker, ONE[broker], bench.amount(ONE_BY_ONE))


def bulk(bench: Bench) -> Iterator[Series]:
    """Compare publishing many messages together."""
    for broker in (REDIS, RABBITMQ):
        yield _rates(bench, f"bulk-{broker}", broker, BULK[broker], bench.amount(TOGETHER))


def groups(bench: Bench) -> Iterator[Series]:
    """Compare how long the publishing of a group takes."""
    for broker in (REDIS, RABBITMQ):
        number = bench.amount(MEMBERS)
        ways = [Way(each.name, each.kind, partial(_seconds, bench, broker, each, number)) for each in GROUP[broker]]
        yield bench.compare(f"group-{broker}", "s", ways, more_is_better=False, amount=number)


def _rates(bench: Bench, key: str, broker: str, publishers: Sequence[Publisher], number: int) -> Series:
    def rate(publisher: Publisher) -> float:
        return number / _seconds(bench, broker, publisher, number)

    ways = [Way(each.name, each.kind, partial(rate, each)) for each in publishers]
    return bench.compare(key, "messages/s", ways, more_is_better=True, amount=number)


def _seconds(bench: Bench, broker: str, publisher: Publisher, number: int) -> float:
    bench.servers.empty(broker)
    rest()
    programs = bench.servers.programs(broker, **({"BENCH_CONFIRM": "yes"} if publisher.confirmed else {}))
    return programs.seconds(publisher.environment, publisher.target, number, within=WITHIN_SECONDS)
