"""How long images take, beside a bare loop with the same calls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.bench import Bench
from benchmarks.harness import Kind, Series, Way
from benchmarks.processes import PROJECT
from benchmarks.servers import RABBITMQ, rest
from shared.names import QueueName

IMAGES = 2_000
WITHIN_SECONDS = 240.0
CONCURRENCY = 2
MOST_ROUNDS = 2
FEWER = 20
"""Images before, with which the worker's processes come up."""


def images(bench: Bench) -> Iterator[Series]:
    """Compare the time of all images."""
    number = bench.amount(IMAGES)
    storage = bench.servers.folder / "storage"
    programs = bench.servers.programs(RABBITMQ, YARD_STORAGE_ROOT=str(storage))
    run = partial(programs.seconds, PROJECT, within=WITHIN_SECONDS)
    run("benchmarks.imaging:make_images", 0, warm=0)
    arguments = ("-Q", QueueName.FILE_IMAGES.value, "--pool=prefork", f"--concurrency={CONCURRENCY}", "-lWARNING")

    def fleet() -> float:
        bench.servers.empty(RABBITMQ)
        rest()
        with programs.running((PROJECT / "celery", "-A", "services.file_worker", "worker", *arguments)):
            return run("benchmarks.imaging:through_the_fleet", number, warm=FEWER)

    ways = [
        Way("Switchyard, prefork", Kind.OURS, fleet),
        Way("multiprocessing.Pool(2)", Kind.LIMIT, lambda: run("benchmarks.imaging:bare_loop", number, warm=0)),
    ]
    yield bench.compare("images", "s", ways, more_is_better=False, amount=number, rounds=MOST_ROUNDS)
