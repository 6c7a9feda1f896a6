"""The two set-ups to compare: brokers, workers, and what the tests are told about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from services.core.local.brokers import LocalRabbitMQ
from services.core.local.ports import LOOPBACK
from shared.names import BrokerName
from shared.settings import child_environment
from tests.upstream.queues import queue_name, worker_name
from tests.upstream.servers import OpenRedis, Worker, side_by_side
from tests.upstream.source import ROOT

APPS = __package__

RESULTS, DEFAULT, CRITICAL = range(3)
"""Databases of Redis: Celery's tests look for what their tasks wrote in database 0."""


@dataclass(frozen=True)
class SetUp:
    """Brokers and workers, and what makes Celery's tests use them."""

    name: str
    servers: Callable[[Path, Path], AbstractContextManager[Mapping[str, str]]]
    """Starts them, given the folder of Celery's tests and one for logs; yields the tests' environment."""
    plugins: tuple[str, ...]
    """Plugins of pytest."""


@contextmanager
def one_broker(source: Path, logs: Path) -> Iterator[Mapping[str, str]]:
    """Start what Celery's own test matrix calls ``redis``: one Redis database for everything, and one worker."""
    with ExitStack() as stack:
        redis = stack.enter_context(OpenRedis(logs))
        environment = environment_of_tests(source, redis, broker=redis.url(RESULTS))
        stack.enter_context(Worker(f"{APPS}.one_broker", "one@upstream", "celery", logs, environment))
        yield environment


@contextmanager
def three_brokers(source: Path, logs: Path) -> Iterator[Mapping[str, str]]:
    """Start three brokers as Switchyard has them, with a worker on each."""
    with ExitStack() as stack:
        redis = stack.enter_context(OpenRedis(logs))
        home = stack.enter_context(TemporaryDirectory(prefix="upstream-"))
        rabbitmq = stack.enter_context(LocalRabbitMQ(Path(home) / "rabbitmq", logs=logs))
        environment = {
            **environment_of_tests(source, redis, broker=redis.url(DEFAULT)),
            "YARD_HOME": home,
            "YARD_BROKER_DEFAULT_URL": redis.url(DEFAULT),
            "YARD_BROKER_CRITICAL_URL": redis.url(CRITICAL),
            "YARD_BROKER_BATCH_URL": rabbitmq.url,
        }
        workers = [
            Worker(f"{APPS}.three_brokers", worker_name(broker), queue_name(broker), logs, environment)
            for broker in BrokerName
        ]
        stack.enter_context(side_by_side(workers))
        yield environment


ONE = SetUp("one broker", one_broker, ("celery.contrib.pytest", "tests.upstream.external_workers"))
THREE = SetUp("three brokers", three_brokers, (*ONE.plugins, "tests.upstream.fleet_app"))


def environment_of_tests(source: Path, redis: OpenRedis, broker: str) -> dict[str, str]:
    """Tell Celery's tests where broker, results and their own Redis are, in the variables that they know."""
    return child_environment(
        {
            "PYTHONPATH": f"{source}:{ROOT}",
            "TEST_BROKER": broker,
            "TEST_BACKEND": redis.url(RESULTS),
            "REDIS_HOST": LOOPBACK,
            "REDIS_PORT": str(redis.port),
        },
        without=("YARD_", "CELERY", "NO_WORKER", "PYTEST_"),
    )
