"""What the one gate costs: ``make bench`` publishes with stock Celery and with ``FleetCelery``, in turn.

Both publish to the same broker, one message at a time, with the same confirms.  Machines are noisy, so rounds are
interleaved and the ratio of their medians is what counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from celery import Celery
from kombu import Exchange, Queue
from pydantic import SecretStr

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.configuration import TRANSPORT_OPTIONS
from shared.queues import QueueSpec
from shared.routing import TaskSpec

ROUNDS = 7
MESSAGES = 500
TASK = "bench.task"

Publish = Callable[[], object]


def publishers(url: str) -> dict[str, Publish]:
    """Return a stock app's and a fleet's way to publish one message to a broker."""
    broker = Broker("only", SecretStr(url))
    queue = Queue("bench", Exchange("bench", type="direct"), "bench")
    stock = Celery("stock", broker=url, set_as_current=False, task_ignore_result=True)
    stock.conf.update(
        task_queues=[queue], task_default_queue="bench", broker_transport_options=dict(TRANSPORT_OPTIONS[broker.kind])
    )
    fleet = FleetCelery(
        "fleet",
        brokers=Brokers([broker]),
        queues=[QueueSpec(queue=queue, broker="only", service="bench")],
        tasks=[TaskSpec(TASK, "bench")],
    )
    return {
        "stock Celery": lambda: stock.send_task(TASK, (1,), ignore_result=True),
        "FleetCelery": lambda: fleet.send_task(TASK, (1,), ignore_result=True),
    }


def seconds(publish: Publish) -> float:
    """Return how long a round of messages takes."""
    started = time.perf_counter()
    for _ in range(MESSAGES):
        publish()
    return time.perf_counter() - started


def compare(name: str, url: str) -> None:
    """Measure both on one broker and print messages per second and their ratio."""
    ways = publishers(url)
    for publish in ways.values():
        seconds(publish)  # connections are made and caches filled before anything counts
    rounds = [{way: seconds(publish) for way, publish in ways.items()} for _ in range(ROUNDS)]
    medians = {way: statistics.median(each[way] for each in rounds) for way in ways}
    for way, median in medians.items():
        spread = [MESSAGES / each[way] for each in rounds]
        print(f"{name:10} {way:14} {MESSAGES / median:8,.0f}/s   ({min(spread):,.0f} … {max(spread):,.0f})")
    print(f"{name:10} ratio          {medians['stock Celery'] / medians['FleetCelery']:8.2f}\n")


def main() -> None:
    """Compare on a Redis and a RabbitMQ of our own."""
    print(f"{ROUNDS} interleaved rounds of {MESSAGES} messages, published one at a time; medians.\n")
    with TemporaryDirectory() as folder:
        with LocalRedis(Path(folder) / "redis") as redis:
            compare("Redis", redis.url(0))
        with LocalRabbitMQ(Path(folder) / "rabbitmq") as rabbitmq:
            compare("RabbitMQ", rabbitmq.url)


if __name__ == "__main__":
    main()
