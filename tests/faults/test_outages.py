"""Workers of every pool outlive outages of Redis, and consume again: the short form of ``make test-chaos``."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import redis
from kombu.exceptions import OperationalError

from services.core.local.brokers import LocalRedis
from shared.transports.claims import HELD
from tests.chaos.app import fleet
from tests.chaos.outages import AGAIN_WITHIN_SECONDS, POOLS
from tests.chaos.records import ENDED, STARTED, Records
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.tasks import WORK
from tests.chaos.workers import FLEET, Crew
from tests.fixtures.proxy import Proxy, proxy_to
from tests.fleet.inspection import wait_for

LEASE_SECONDS = 3.0
OPTIONS = {"lease_seconds": LEASE_SECONDS}
NOTICED = re.compile("Couldn't ack|Connection to broker lost")


@dataclass
class Scene:
    """A Redis of its own, a worker of each pool behind a proxy, and who publishes past that."""

    server: LocalRedis
    proxy: Proxy
    crews: list[Crew]
    records: Records
    setups: list[Setup]

    def publish(self, seconds: float) -> list[str]:
        """Publish as many tasks to each worker as it runs at once."""
        published = []
        for setup, crew in zip(self.setups, self.crews, strict=True):
            with fleet(setup) as app:
                published += [
                    app.send_task(WORK, (seconds,), queue=QUEUE, ignore_result=True).id
                    for _ in range(1 if "--pool=solo" in crew.arguments else 2)
                ]
        return published

    def wait_until_all(self, kind: str, tasks: list[str], seconds: float = 60) -> None:
        """Wait until something has happened to each task."""

        def happened() -> bool:
            self.records.read()
            return all(self.records.count(kind, task) for task in tasks)

        wait_for(happened, f"{kind} of {len(tasks)} tasks", seconds)

    def all_have_noticed(self) -> bool:
        """Whether every worker has tried in vain to use its connection."""
        return all(NOTICED.search(crew.workers["w1"].output()) for crew in self.crews)

    def nothing_is_held(self) -> bool:
        """Whether every message that was taken is settled."""
        for setup in self.setups:
            with redis.Redis.from_url(setup.broker) as client:
                if client.exists(HELD):
                    return False
        return True

    def expect_no_deaths(self) -> None:
        """Fail when a worker has ended by itself."""
        for crew in self.crews:
            crew.replace_dead()
            assert not crew.deaths


@pytest.fixture
def scene(tmp_path):
    """Each worker has a database of its own."""
    records = tmp_path / "records"
    records.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(LocalRedis(tmp_path / "redis"))
        proxy = stack.enter_context(proxy_to(server.port))
        made = Scene(server, proxy, [], Records(records), [])
        for number, arguments in enumerate(POOLS):
            setup = Setup(broker=server.url(number), records=records, worker=str(number))
            behind = Setup(
                broker=setup.broker.replace(f":{server.port}/", f":{proxy.port}/"), records=records, options=OPTIONS
            )
            made.setups.append(setup)
            made.crews.append(stack.enter_context(Crew(FLEET, behind, tmp_path / str(number), (*arguments, "-E"))))
            made.crews[-1].add()
        yield made


def test_work_that_ends_while_redis_is_out_of_reach_does_not_silence_its_worker(scene):
    """Its acknowledgement fails, and with it the worker's only chance to notice: it holds as much as it may."""
    scene.wait_until_all(ENDED, scene.publish(0.01))
    during = scene.publish(3.0)
    scene.wait_until_all(STARTED, during)
    scene.proxy.refuse()
    scene.wait_until_all(ENDED, during)
    wait_for(scene.all_have_noticed, "every worker to notice", 60)
    after = scene.publish(0.01)
    scene.proxy.accept()
    scene.wait_until_all(ENDED, after)


def test_work_that_ends_after_its_connection_was_cut_ends_no_worker(scene):
    """Its message is delivered again while it runs, which starts nothing beside it, and is settled when it ends."""
    during = scene.publish(5.0)
    scene.wait_until_all(STARTED, during)
    scene.proxy.cut()
    scene.wait_until_all(ENDED, during)
    scene.wait_until_all(ENDED, scene.publish(0.01))
    wait_for(scene.nothing_is_held, "all that was held to be settled")
    assert not scene.records.repeated(during)
    scene.expect_no_deaths()


def test_idle_workers_notice_that_their_connections_are_half_open(scene):
    """New connections are accepted at once."""
    scene.wait_until_all(ENDED, scene.publish(0.01))
    scene.proxy.half_open()
    scene.wait_until_all(STARTED, scene.publish(0.01), AGAIN_WITHIN_SECONDS)
    scene.expect_no_deaths()


def test_busy_workers_notice_that_their_connections_are_half_open(scene):
    """They hold as much as they may, and their acknowledgements get no answer."""
    during = scene.publish(2.0)
    scene.wait_until_all(STARTED, during)
    scene.proxy.half_open()
    after = scene.publish(0.01)
    scene.wait_until_all(STARTED, after, AGAIN_WITHIN_SECONDS)
    scene.wait_until_all(ENDED, [*during, *after])
    wait_for(scene.nothing_is_held, "all that was held to be settled")
    assert not scene.records.repeated(during)
    scene.expect_no_deaths()


def test_at_the_limit_of_its_memory_redis_still_has_work_taken_renewed_and_settled(scene):
    """Only what is new is refused; nobody ends, and all goes on when there is memory again."""
    during = scene.publish(3 * LEASE_SECONDS)
    scene.wait_until_all(STARTED, during)
    waiting = scene.publish(0.01)
    with redis.Redis.from_url(scene.server.url()) as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(OperationalError):
            scene.publish(0.01)
        scene.wait_until_all(ENDED, [*during, *waiting])
        wait_for(scene.nothing_is_held, "all that was held to be settled")
        client.config_set("maxmemory", "0")
    scene.wait_until_all(ENDED, scene.publish(0.01))
    assert not scene.records.repeated([*during, *waiting])
    scene.expect_no_deaths()
