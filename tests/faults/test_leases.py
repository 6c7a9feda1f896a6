"""A living worker keeps what it holds, however long the work takes; a hung one loses it, for good."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import redis

from shared.transports.claims import HELD
from shared.transports.leases import LeaseKeeper
from tests.chaos.app import fleet
from tests.chaos.databases import FIRST, own_database
from tests.chaos.records import STARTED, Records
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.tasks import BLOCK, WORK
from tests.chaos.workers import FLEET, Crew
from tests.fleet.inspection import wait_for

LEASE_SECONDS = 3.0
LONG_SECONDS = 36.0
"""Some leases, and longer than a loop may stand still that does not run tasks itself."""
START_SECONDS = 90
"""For a dozen workers that start together on a small machine."""
POOLS = {
    "prefork": (WORK, "--concurrency=2"),
    "threads": (WORK, "--pool=threads", "--concurrency=2"),
    "gevent": (WORK, "--pool=gevent", "--concurrency=2"),
    "gevent that gets no turn": (BLOCK, "--pool=gevent", "--concurrency=2"),
    "solo": (WORK, "--pool=solo"),
}


@dataclass
class Scene:
    """One worker with one task, on a database of its own."""

    crew: Crew
    records: Records
    client: redis.Redis
    task: str
    publish: Callable[[float], str]
    """Publishes a task that takes so many seconds, and returns its id."""

    def started(self, times: int = 1) -> bool:
        self.records.read()
        return self.records.count(STARTED, self.task) >= times

    def ended(self) -> bool:
        self.records.read()
        return self.task in self.records.ended

    def over(self) -> bool:
        """Whether the task has ended, and nothing is held or waits."""
        return self.ended() and not self.client.exists(HELD, QUEUE)

    def takes_more(self, worker: str) -> bool:
        """Publish more tasks than another worker has room for; tell whether this one has run some."""
        tasks = [self.publish(0.05) for _ in range(6)]

        def all_ended() -> bool:
            self.records.read()
            return self.records.ended.issuperset(tasks)

        wait_for(all_ended, "the end of more tasks")
        return any(event.worker == worker for task in tasks for event in self.records.events[task])


def scene(stack: ExitStack, url: str, folder: Path, task: str, *arguments: str, seconds: float) -> Scene:
    """Publish a task, and start a worker for it."""
    records = folder / "records"
    records.mkdir(parents=True)
    setup = Setup(broker=url, records=records, options={"lease_seconds": LEASE_SECONDS})
    app = fleet(setup)
    stack.callback(app.close)

    def publish(seconds: float) -> str:
        return str(app.send_task(task, (seconds,), queue=QUEUE, ignore_result=True).id)

    first = publish(seconds)
    crew = stack.enter_context(Crew(FLEET, setup, folder, arguments))
    client = stack.enter_context(redis.Redis.from_url(url))
    crew.add()
    return Scene(crew, Records(records), client, first, publish)


def watch(stack: ExitStack, url: str) -> None:
    """Put back whatever runs out, as any other worker does."""
    client = stack.enter_context(redis.Redis.from_url(url))
    keeper = LeaseKeeper(lambda: client, LEASE_SECONDS, lambda: True)
    keeper.start()
    stack.callback(keeper.end)


def test_a_long_task_runs_once_in_every_pool_also_in_warm_shutdown(brokers, tmp_path):
    with ExitStack() as stack:
        scenes = {}
        for number, (pool, stops) in enumerate(product(POOLS, [False, True])):
            url = stack.enter_context(own_database(brokers["YARD_BROKER_DEFAULT_URL"], FIRST + number))
            watch(stack, url)
            task, *arguments = POOLS[pool]
            scenes[pool, stops] = scene(stack, url, tmp_path / str(number), task, *arguments, seconds=LONG_SECONDS)
        for name, each in scenes.items():
            wait_for(each.started, f"the task to start in {name}", START_SECONDS)
            if name[1]:
                each.crew.workers["w1"].terminate()
        for name, each in scenes.items():
            wait_for(each.over, f"the task to end in {name}", LONG_SECONDS + 20)
        assert {name: each.records.count(STARTED, each.task) for name, each in scenes.items()} == dict.fromkeys(
            scenes, 1
        )
        assert {name: each.client.llen(QUEUE) for name, each in scenes.items()} == dict.fromkeys(scenes, 0)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_hung_worker_loses_its_work_and_can_not_settle_it_when_it_wakes(brokers, tmp_path, pool):
    """Once it has done the work all the same, it settles it by the claim that it gets when the other holder is dead."""
    with ExitStack() as stack:
        url = stack.enter_context(own_database(brokers["YARD_BROKER_DEFAULT_URL"]))
        _, *arguments = POOLS[pool]
        one = scene(stack, url, tmp_path, WORK, *arguments, seconds=3 * LEASE_SECONDS)
        wait_for(one.started, "the task to start")
        hung = one.crew.workers["w1"]
        os.kill(hung.pid or 0, signal.SIGSTOP)  # its children go on
        second = one.crew.add()
        wait_for(lambda: one.started(2), "another worker to start it")
        [claim] = one.client.hkeys(HELD)
        os.kill(hung.pid or 0, signal.SIGCONT)
        wait_for(one.ended, "the late end in the one that hung")
        wait_for(lambda: one.takes_more("w1"), "the one that woke to take up more")
        assert one.client.hexists(HELD, claim), "the claim of the second holder is gone"
        one.crew.kill(second)
        wait_for(one.over, "the one that woke to settle what the second held")
        assert one.records.count(STARTED, one.task) == 2
        assert one.takes_more("w1")
