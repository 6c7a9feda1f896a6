"""What runs in a living worker is nobody else's, whatever becomes of its connection; what waits in it runs once."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from kombu import Connection

from services.core.local.brokers import LocalRedis
from shared.celery_app import FleetCelery
from shared.transports.claims import HELD
from tests.chaos.app import fleet
from tests.chaos.records import ENDED, STARTED, Records
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.tasks import BLOCK, WORK
from tests.chaos.workers import FLEET, Crew
from tests.fixtures.proxy import Proxy, proxy_to
from tests.fleet.inspection import wait_for

LEASE_SECONDS = 3.0
LONG_SECONDS = 5 * LEASE_SECONDS
"""Long enough for others to find a lease that ran out, and to do the work a second time beside the first."""
START_SECONDS = 90
POOLS = {
    "prefork": ("--concurrency=2",),
    "threads": ("--pool=threads", "--concurrency=2"),
    "gevent": ("--pool=gevent", "--concurrency=2"),
}
CONNECTED_ANEW = re.compile("Connection to broker lost")


@dataclass
class Scene:
    """A broker with workers, of which some reach it through a proxy."""

    setup: Setup
    proxy: Proxy
    folder: Path
    stack: ExitStack
    app: FleetCelery
    records: Records
    crews: list[Crew] = field(default_factory=list)

    def add(self, *arguments: str, cut_off: bool = False) -> Crew:
        """Start a worker; ``cut_off`` puts it behind the proxy."""
        folder = self.folder / str(len(self.crews))
        folder.mkdir(parents=True)
        broker = self.setup.broker
        if cut_off:
            broker = re.sub(r":\d+/", f":{self.proxy.port}/", broker)
        setup = Setup(broker=broker, records=self.setup.records, options=self.setup.options)
        crew = Crew(FLEET, setup, folder, (*arguments, f"--hostname=number{len(self.crews)}@chaos"))
        self.crews.append(self.stack.enter_context(crew))
        crew.add()
        return crew

    def publish(self, times: int, seconds: float, task: str = WORK) -> list[str]:
        """Publish tasks that take so many seconds each."""
        return [self.app.send_task(task, (seconds,), queue=QUEUE, ignore_result=True).id for _ in range(times)]

    def publish_as(self, task: str, seconds: float) -> None:
        """Publish one more message with the id of a task, as a beat entry with a ``task_id`` does."""
        self.app.send_task(WORK, (seconds,), queue=QUEUE, ignore_result=True, task_id=task)

    def wait_until_all(self, kind: str, tasks: Iterable[str], seconds: float = START_SECONDS) -> None:
        """Wait until something has happened to each task."""
        wait_for(lambda: all(self.count(kind, tasks)), f"{kind} of all tasks", seconds)

    def count(self, kind: str, tasks: Iterable[str]) -> list[int]:
        """How often something happened to each task."""
        self.records.read()
        return [self.records.count(kind, task) for task in tasks]

    def wait_until_nothing_is_left(self) -> None:
        """Wait until no message is held or waits: none that was given away is still to run."""
        if self.setup.broker.startswith("redis"):
            with redis.Redis.from_url(self.setup.broker) as client:
                wait_for(lambda: not client.exists(HELD, QUEUE), "all messages to be settled", START_SECONDS)
            return
        for crew in self.crews:
            crew.stop()  # what it held goes back
        with Connection(self.setup.broker) as connection:
            assert connection.default_channel.queue_delete(QUEUE) == 0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(tmp_path) -> Iterator[LocalRedis]:
    with LocalRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def make(stack, tmp_path) -> Callable[..., Scene]:
    """Make a scene at a broker, given its URL and port, with a proxy of its own."""

    def made(url: str, port: int, **options) -> Scene:
        folder = tmp_path / f"scene{len(list(tmp_path.iterdir()))}"
        records = folder / "records"
        records.mkdir(parents=True)
        setup = Setup(broker=url, records=records, **options)
        app = fleet(setup)
        stack.callback(app.close)
        return Scene(setup, stack.enter_context(proxy_to(port)), folder, stack, app, Records(records))

    return made


@pytest.fixture
def scenes(server, make) -> Callable[[int], Scene]:
    """Make a scene in a database of one Redis."""
    return lambda number: make(server.url(number), server.port, options={"lease_seconds": LEASE_SECONDS})


def test_a_worker_whose_connections_alone_are_cut_keeps_what_it_runs(scenes):
    """Others have room, and would take what it gives away."""
    of_pool = {pool: scenes(number) for number, pool in enumerate(POOLS)}
    running = {pool: scene.publish(2, LONG_SECONDS) for pool, scene in of_pool.items()}
    for pool, scene in of_pool.items():
        scene.add(*POOLS[pool], cut_off=True)
    for pool, scene in of_pool.items():
        scene.wait_until_all(STARTED, running[pool])
        scene.add(*POOLS[pool])
        [proof] = scene.publish(1, 0.01)
        scene.wait_until_all(ENDED, [proof])  # the other one takes work
        scene.proxy.cut()
    for pool, scene in of_pool.items():
        scene.wait_until_all(ENDED, running[pool])
        scene.wait_until_nothing_is_left()
    assert {pool: scene.count(STARTED, running[pool]) for pool, scene in of_pool.items()} == {
        pool: [1, 1] for pool in POOLS
    }


def test_a_restart_of_redis_repeats_nothing_that_runs(scenes, server):
    of_pool = {pool: scenes(number) for number, pool in enumerate(POOLS)}
    running = {pool: scene.publish(4, LONG_SECONDS) for pool, scene in of_pool.items()}
    for pool, scene in of_pool.items():
        for _ in range(2):
            scene.add(*POOLS[pool])
    for pool, scene in of_pool.items():
        scene.wait_until_all(STARTED, running[pool])
    server.restart()
    for pool, scene in of_pool.items():
        scene.wait_until_all(ENDED, running[pool])
        scene.wait_until_nothing_is_left()
    assert {pool: scene.count(STARTED, running[pool]) for pool, scene in of_pool.items()} == {
        pool: [1, 1, 1, 1] for pool in POOLS
    }


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_that_is_full_leaves_the_queue_to_others_after_an_outage(scenes, pool):
    """What it runs from before takes up its places; a message more would wait in it until one of them is free."""
    scene = scenes(0)
    full = scene.add(*POOLS[pool], cut_off=True)
    running = scene.publish(2, LONG_SECONDS)
    scene.wait_until_all(STARTED, running)
    scene.proxy.cut()
    wait_for(lambda: CONNECTED_ANEW.search(full.workers["w1"].output()), "the worker to notice")
    accepted = scene.proxy.accepted
    wait_for(lambda: scene.proxy.accepted > accepted, "the worker to connect again")
    waiting = scene.publish(6, 0.01)
    scene.add(*POOLS[pool])
    scene.wait_until_all(ENDED, waiting)
    assert scene.count(ENDED, running) == [0, 0], "the machine was too slow to tell"
    scene.wait_until_all(ENDED, running)
    scene.wait_until_all(ENDED, scene.publish(6, 0.01))
    scene.wait_until_nothing_is_left()
    assert scene.count(STARTED, running) == [1, 1]


def test_work_that_ends_while_redis_is_down_is_settled_when_it_is_back(scenes, server):
    """Its worker knows its claim, and settles it before anybody else may have it."""
    of_pool = {pool: scenes(number) for number, pool in enumerate(POOLS)}
    running = {pool: scene.publish(2, LEASE_SECONDS) for pool, scene in of_pool.items()}
    for pool, scene in of_pool.items():
        scene.add(*POOLS[pool])
    for pool, scene in of_pool.items():
        scene.wait_until_all(STARTED, running[pool])
    server.stop()
    for pool, scene in of_pool.items():
        scene.wait_until_all(ENDED, running[pool])
        scene.add(*POOLS[pool])  # which finds what is given back when Redis is there
    server.start()
    for scene in of_pool.values():
        scene.wait_until_all(ENDED, scene.publish(4, 0.01))
        scene.wait_until_nothing_is_left()
    assert {pool: scene.count(STARTED, running[pool]) for pool, scene in of_pool.items()} == {
        pool: [1, 1] for pool in POOLS
    }


@pytest.mark.parametrize("pool", ["prefork", "threads"])
@pytest.mark.parametrize(("asked", "times"), [(signal.SIGTERM, 1), (signal.SIGQUIT, 2)], ids=["warm", "cold"])
def test_a_worker_that_stops_after_an_outage_settles_what_ends_and_gives_back_the_rest(
    server, make, pool, asked, times
):
    """Leases are so long here that none runs out."""
    scene = make(server.url(), server.port, options={"lease_seconds": 300.0})
    worker = scene.add(*POOLS[pool], cut_off=True).workers["w1"]
    running = scene.publish(2, LONG_SECONDS)
    scene.wait_until_all(STARTED, running)
    accepted = scene.proxy.accepted
    scene.proxy.cut()
    wait_for(lambda: scene.proxy.accepted > accepted, "the worker to connect again")
    os.kill(worker.pid or 0, asked)
    wait_for(lambda: not worker.alive, "the worker to end", START_SECONDS)
    scene.add(*POOLS[pool])
    scene.wait_until_all(ENDED, [*running, *scene.publish(1, 0.01)])
    scene.wait_until_nothing_is_left()
    assert scene.count(STARTED, running) == [times] * 2


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (WORK, ("--pool=solo", "--prefetch-multiplier=6")),
        (WORK, ("--pool=gevent", "--concurrency=1", "--prefetch-multiplier=6")),
        (BLOCK, ("--pool=gevent", "--concurrency=2", "--prefetch-multiplier=3")),
    ],
    ids=["solo", "gevent", "gevent that gets no turn"],
)
def test_messages_that_are_taken_together_are_kept_from_the_first_moment(scenes, task, arguments):
    """The loop runs the first, or waits for a greenlet to end, before it has handed over the last."""
    scene = scenes(0)
    tasks = scene.publish(6, LEASE_SECONDS, task)
    scene.add(*arguments)
    wait_for(lambda: any(scene.count(STARTED, tasks)), "one to start", START_SECONDS)
    scene.add("--concurrency=2")
    scene.wait_until_all(ENDED, tasks)
    scene.wait_until_nothing_is_left()
    assert scene.count(STARTED, tasks) == [1] * 6


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_what_waits_for_a_thread_when_its_connection_breaks_runs_once(brokers, scenes, make, broker):
    """It goes back to the broker, comes again, and must not run a second time from where it waited."""
    if broker == "redis":
        scene = scenes(0)
    else:
        url = brokers["YARD_BROKER_BATCH_URL"]
        scene = make(url, Connection(url).port)
    scene.add("--pool=threads", "--concurrency=2", "--prefetch-multiplier=3", cut_off=True)
    scene.wait_until_all(ENDED, scene.publish(1, 0.01))
    tasks = scene.publish(6, LEASE_SECONDS)
    wait_for(lambda: sum(scene.count(STARTED, tasks)) >= 2, "the first to start")
    scene.proxy.cut()
    scene.wait_until_all(ENDED, tasks)
    scene.wait_until_nothing_is_left()
    assert scene.count(STARTED, tasks) == [1] * 6


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
@pytest.mark.parametrize("first", ["succeeded", "runs"])
def test_a_second_message_of_the_same_task_id_runs_as_well(brokers, scenes, make, broker, first):
    """Its first worker dies, so that it comes again to one that knows the task id from another message."""
    if broker == "redis":
        scene = scenes(0)
    else:
        url = brokers["YARD_BROKER_BATCH_URL"]
        scene = make(url, Connection(url).port)
    task = "nightly"
    scene.add("--concurrency=1")
    if first == "succeeded":
        scene.publish_as(task, 0.0)
        scene.wait_until_all(ENDED, [task])
        scene.wait_until_all(STARTED, scene.publish(1, LONG_SECONDS))
    else:
        scene.publish_as(task, LONG_SECONDS)
        scene.wait_until_all(STARTED, [task])
    other = scene.add("--concurrency=1")
    scene.publish_as(task, 2 * LONG_SECONDS)
    wait_for(lambda: scene.count(STARTED, [task]) == [2], "the second to start in the other worker", START_SECONDS)
    other.kill("w1")
    wait_for(lambda: scene.count(STARTED, [task]) == [3], "it to start again", START_SECONDS)
    wait_for(lambda: scene.count(ENDED, [task]) == [2], "both to end", START_SECONDS)
    scene.wait_until_nothing_is_left()
