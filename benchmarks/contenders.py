"""Who drains and publishes: how each fills its queue, and how its workers are started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Kind
from benchmarks.processes import ARQ, PEERS, PROJECT
from benchmarks.servers import RABBITMQ, REDIS

Command = tuple[object, ...]
POOLS = {"prefork": 2, "threads": 4, "gevent": 20, "solo": 1}
"""The concurrency of each pool, the same for stock Celery and the fleet."""
WORKERS = 2
MODULES = "benchmarks.peers."


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One that works off a queue with two worker processes."""

    name: str
    kind: Kind
    fill: str
    """The function that fills the queue."""
    workers: Sequence[Command]
    up: int = WORKERS
    """How many processes run tasks."""
    messages: int = 8_000
    """How many are drained: enough for some seconds."""
    environment: Path = PEERS
    """The environment of the publisher."""


def celery_worker(environment: Path, app: str, queue: str, pool: str, number: int) -> Command:
    """Return the command of a worker; nothing but pool and concurrency differs between stock Celery and the fleet."""
    # Without gossip, mingle and heartbeats of workers: https://docs.celeryq.dev/en/stable/userguide/workers.html
    lean = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    which = (f"--pool={pool}", f"--concurrency={POOLS[pool]}", f"--hostname={number}@bench")
    return (environment / "celery", "-A", app, "worker", "-Q", queue, "-lWARNING", *which, *lean)


def in_pool(pool: str, broker: str, *, ours: bool) -> Contender:
    """Return a pool of stock Celery or of the fleet."""
    environment, app = (PROJECT, "benchmarks.fleet_app") if ours else (PEERS, "benchmarks.peers.celery_app")
    queue = f"bench.{broker}" if ours else "bench"
    return Contender(
        name=f"{'Switchyard' if ours else 'Celery'}, {pool}",
        kind=Kind.OURS if ours else Kind.STOCK,
        fill=f"benchmarks.fleet_app:publish_many_{broker}" if ours else f"{MODULES}celery_app:publish",
        workers=[celery_worker(environment, app, queue, pool, number) for number in range(WORKERS)],
        up=WORKERS * (POOLS[pool] if pool == "prefork" else 1),
        messages=10_000 if ours else 6_000,
        environment=environment,
    )


def urgent(broker: str) -> Contender:
    """Return the fleet on a queue where urgency counts: one message is held by each thread, and none ahead."""
    queue = f"bench.urgent.{broker}"
    return Contender(
        name="Switchyard, threads, urgent queue",
        kind=Kind.OURS,
        fill=f"benchmarks.fleet_app:fill_urgent_{broker}",
        workers=[celery_worker(PROJECT, "benchmarks.fleet_app", queue, "threads", number) for number in range(WORKERS)],
        environment=PROJECT,
    )


def raw(broker: str) -> Contender:
    """Return the bare loop over the broker's own client."""
    module = f"{MODULES}raw_{broker}"
    client = {REDIS: "redis-py", RABBITMQ: "py-amqp"}[broker]
    return Contender(
        name=f"{client} in a loop",
        kind=Kind.LIMIT,
        fill=f"{module}:publish_many",
        workers=[(PEERS / "python", "-m", module)] * WORKERS,
        messages=30_000,
    )


HUEY = Contender(
    name="Huey",
    kind=Kind.PEER,
    fill=f"{MODULES}huey_app:publish",
    workers=[(PEERS / "huey_consumer", f"{MODULES}huey_app.huey", "-k", "process", "-w", WORKERS, "-n", "-q")],
    messages=10_000,
)
DRAMATIQ = Contender(
    name="Dramatiq",
    kind=Kind.PEER,
    fill=f"{MODULES}dramatiq_app:publish",
    workers=[(PEERS / "dramatiq", f"{MODULES}dramatiq_app", "--processes", WORKERS)],
)
TASKIQ = Contender(
    name="Taskiq",
    kind=Kind.PEER,
    fill=f"{MODULES}taskiq_app:publish",
    workers=[
        (PEERS / "taskiq", "worker", f"{MODULES}taskiq_app:broker", "--workers", WORKERS, "--log-level", "WARNING")
    ],
    messages=6_000,
)
RQ = Contender(
    name="RQ",
    kind=Kind.PEER,
    fill=f"{MODULES}rq_app:publish_many",
    workers=[(PEERS / "python", "-m", f"{MODULES}rq_worker")] * WORKERS,
    messages=2_000,
)
ARQ_JOBS = Contender(
    name="arq",
    kind=Kind.PEER,
    fill=f"{MODULES}arq_app:publish",
    workers=[(ARQ / "arq", f"{MODULES}arq_app.WorkerSettings")] * WORKERS,
    messages=4_000,
    environment=ARQ,
)


def contenders(broker: str) -> list[Contender]:
    """Return who drains a queue on a broker."""
    peers = {REDIS: [HUEY, DRAMATIQ, TASKIQ, RQ, ARQ_JOBS], RABBITMQ: [DRAMATIQ, TASKIQ]}[broker]
    ours, stock = ([in_pool(pool, broker, ours=whose) for pool in POOLS] for whose in (True, False))
    return [*ours, urgent(broker), *stock, *peers, raw(broker)]
