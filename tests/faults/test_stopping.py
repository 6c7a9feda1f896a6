"""Workers stop within their grace period, in every pool and on each broker, and what they held goes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack

import psutil
import pytest
import redis

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from services.core.local.processes import ChildProcess, is_alive
from shared.queues import AFTER_GRACE_SECONDS, GRACE_WITHOUT_LIMIT_SECONDS
from shared.transports.claims import HELD
from tests.chaos.app import fleet
from tests.chaos.records import ENDED, STARTED, Records
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.tasks import WORK
from tests.chaos.workers import FLEET, Crew
from tests.fixtures import mishaps
from tests.fixtures.workers import WorkerProcess
from tests.fleet.inspection import messages, wait_for
from tests.fleet.mishaps import BROKERS, app, noted, queue_of

pytestmark = pytest.mark.usefixtures("afresh")

BACKLOG = 600
SOON_SECONDS = 20.0
"""Less than the half minute for which a child that nobody hears keeps its parent waiting."""
LONGEST_SECONDS = GRACE_WITHOUT_LIMIT_SECONDS + AFTER_GRACE_SECONDS
CONCURRENCY = {"prefork": "-c2", "threads": "-c2", "gevent": "-c10", "solo": "-c1"}
STOPS = {"prefork": 5, "threads": 2, "gevent": 2, "solo": 2}
EXECUTIONS = 3
"""As many as poison has."""
LARGE = 1_000_000
"""Far more than a pipe takes at once."""


class Stop:
    """A worker that is asked to stop."""

    def __init__(self, name: str, process, *, by: signal.Signals = signal.SIGTERM) -> None:
        self._name, self._process = name, process
        self._children = psutil.Process(process.pid).children(recursive=True)
        self._asked = time.monotonic()
        psutil.Process(process.pid).send_signal(by)

    def wait(self, seconds: float) -> int | None:
        """Wait until it has stopped, and its children with it; return its exit code."""
        code: int | None = self._process.wait(max(0.1, self._asked + seconds - time.monotonic()))
        print(f"{self._name} stopped after {time.monotonic() - self._asked:.1f} s with {code}")
        wait_for(lambda: not any(map(is_alive, self._children)), "its children to end", 5)
        return code


def stop(worker: WorkerProcess, seconds: float, *, by: signal.Signals = signal.SIGTERM) -> int | None:
    return Stop(worker.log.stem, worker.process, by=by).wait(seconds)


def send(task: str, *args, queue: str, **options) -> str:
    task_id: str = app.send_task(f"mishap.{task}", args, queue=queue, **options).id
    return task_id


def wait_for_notes(key: str, count: int = 1) -> None:
    wait_for(lambda: len(noted(key)) >= count, f"{count} notes of {key}")


def wait_for_log(worker: WorkerProcess, text: str) -> None:
    wait_for(lambda: text in worker.output, f"{text!r} in {worker.log.name}")


def wait_for_a_turn(broker: str) -> None:
    """Wait until the loop of a worker has come by once more."""
    with app.on_broker(broker):
        assert app.control.ping(limit=1, timeout=20)


class Left:
    """What lies in a queue, taken out of it as it is found."""

    def __init__(self, broker: str, queue: str) -> None:
        self._broker, self._queue = app.brokers[broker], queue
        self.ids: list[str] = []

    def look(self) -> list[str]:
        self.ids += [headers["id"] for headers in messages(self._broker, self._queue)]
        return self.ids

    def expect(self, ids: Iterable[str], seconds: float = 2.0) -> None:
        """Wait for exactly these tasks; RabbitMQ takes a moment to notice that a connection is gone."""
        expected = sorted(ids)
        wait_for(lambda: len(self.look()) >= len(expected), f"{len(expected)} messages in {self._queue}", seconds)
        assert sorted(self.ids) == expected


def nothing_is_held(brokers: dict[str, str]) -> bool:
    with redis.Redis.from_url(brokers["YARD_BROKER_DEFAULT_URL"]) as client:
        return not client.exists(HELD)


@pytest.mark.parametrize("pool", mishaps.POOLS)
@pytest.mark.parametrize("broker", BROKERS)
def test_under_load_it_stops_soon_and_every_task_is_done_or_back(brokers, tmp_path, broker, pool):
    key, queue = f"load-{broker}-{pool}", queue_of(broker, pool)
    numbers = {send("good", key, f"{number}", queue=queue): f"{number}" for number in range(BACKLOG)}
    for _ in range(STOPS[pool]):
        with mishaps.worker(broker, pool, tmp_path, CONCURRENCY[pool]) as worker:
            wait_for_notes(key, len(noted(key)) + 20)
            assert stop(worker, SOON_SECONDS) == 0
    done = noted(key)
    assert len(set(done)) == len(done) < BACKLOG
    Left(broker, queue).expect({task for task, number in numbers.items() if number not in done})
    assert nothing_is_held(brokers)


@pytest.mark.parametrize("length", [1, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("broker", BROKERS)
def test_what_a_child_was_sent_is_done_or_back_when_the_worker_stops(brokers, tmp_path, broker, length):
    """The child is so slow that its worker stops before it hears from it."""
    key, queue = f"sent-{broker}-{length}", queue_of(broker, "prefork")
    with mishaps.worker(broker, "prefork", tmp_path, "-c1", "--loglevel=DEBUG") as worker:
        (child,) = psutil.Process(worker.process.pid).children()
        child.suspend()
        task = send("good", key, "x" * length, queue=queue)
        wait_for_log(worker, f"{task}] received")
        wait_for_a_turn(broker)  # in which it is sent
        stopping = Stop(f"{broker} with {length} bytes under way", worker.process)
        wait_for_log(worker, "Stopping Consumer...")
        child.resume()
        assert stopping.wait(SOON_SECONDS) == 0
    Left(broker, queue).expect([] if noted(key) else [task])


@pytest.mark.parametrize("broker", BROKERS)
def test_work_that_ends_in_time_is_done_once_however_often_it_is_told_to_stop(brokers, tmp_path, broker):
    """RabbitMQ would take a worker for dead from which it hears nothing for ten seconds."""
    with ExitStack() as stack:
        workers = {pool: stack.enter_context(mishaps.worker(broker, pool, tmp_path, "-c1")) for pool in mishaps.POOLS}
        for pool in mishaps.POOLS:
            key, queue = f"in-time-{broker}-{pool}", queue_of(broker, pool)
            send("good", f"{key}-first", "1", queue=queue)
            send("slow", key, 20, queue=queue)
            send("good", f"{key}-later", "1", queue=queue)
        for pool in mishaps.POOLS:
            wait_for_notes(f"in-time-{broker}-{pool}")
        stops = [Stop(f"{broker} {pool}", worker.process) for pool, worker in workers.items()]
        for worker in workers.values():
            wait_for_log(worker, "Warm shutdown")
            worker.process.terminate()
        assert [stopping.wait(LONGEST_SECONDS) for stopping in stops] == [0] * len(stops)
    for pool in mishaps.POOLS:
        key = f"in-time-{broker}-{pool}"
        assert noted(key) == ["began", "ended"]
        assert not noted(f"{key}-later")
        left = Left(broker, queue_of(broker, pool))
        wait_for(left.look, "the one that waited")
        assert len(left.ids) == 1
    assert nothing_is_held(brokers)


def test_work_that_takes_longer_than_the_grace_period_goes_back(brokers, tmp_path):
    """Without a time limit the grace period is a minute; what ends in time is done, also beside what does not."""
    with ExitStack() as stack:
        stops, long = {}, {}
        for broker in BROKERS:
            for pool in mishaps.POOLS:
                key, queue = f"overrun-{broker}-{pool}", queue_of(broker, pool)
                worker = stack.enter_context(mishaps.worker(broker, pool, tmp_path, "-c2"))
                if pool != "solo":
                    send("slow", f"{key}-short", 10, queue=queue)
                long[broker, pool] = send("slow", key, 300, queue=queue)
                wait_for_notes(key)
                stops[broker, pool] = Stop(f"{broker} {pool}", worker.process)
        assert {name: stopping.wait(LONGEST_SECONDS) for name, stopping in stops.items()} == dict.fromkeys(stops, 1)
    for (broker, pool), task in long.items():
        key = f"overrun-{broker}-{pool}"
        assert noted(key) == ["began"]
        assert noted(f"{key}-short") == ([] if pool == "solo" else ["began", "ended"])
        Left(broker, queue_of(broker, pool)).expect([task])
    assert nothing_is_held(brokers)


@pytest.mark.parametrize("broker", BROKERS)
def test_the_grace_period_is_the_time_limit_of_the_worker(brokers, tmp_path, broker):
    key, queue = f"limit-{broker}", queue_of(broker, "prefork")
    with mishaps.worker(broker, "prefork", tmp_path, "-c1", "--time-limit=3") as worker:
        task = send("slow", key, 300, queue=queue, time_limit=600)
        wait_for_notes(key)
        assert stop(worker, 3 + AFTER_GRACE_SECONDS) == 1
    Left(broker, queue).expect([task])


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT], ids=["SIGQUIT", "Ctrl+C twice"])
@pytest.mark.parametrize("broker", BROKERS)
def test_work_goes_back_at_once_when_there_is_no_time(brokers, tmp_path, broker, number):
    with ExitStack() as stack:
        for pool in mishaps.POOLS:
            key, queue = f"quit-{broker}-{pool}-{number.name}", queue_of(broker, pool)
            worker = stack.enter_context(mishaps.worker(broker, pool, tmp_path, "-c1"))
            tasks = [send("slow", key, 300, queue=queue) for _ in range(3)]
            wait_for_notes(key)
            if number is signal.SIGINT:
                worker.process.send_signal(number)
                wait_for_log(worker, "Warm shutdown")
            assert stop(worker, AFTER_GRACE_SECONDS, by=number) == 1
            Left(broker, queue).expect(tasks)
    assert nothing_is_held(brokers)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
@pytest.mark.parametrize("broker", BROKERS)
def test_a_suspect_that_waits_to_be_alone_goes_back(brokers, tmp_path, broker, pool):
    key, queue = f"suspect-{broker}-{pool}", queue_of(broker, pool)
    deadly = send("kill_worker", key, queue=queue)
    for _ in range(EXECUTIONS - 1):  # the next is the last, for which it has to be alone
        mishaps.start(broker, pool, tmp_path, "-c1", ready=False).process.wait(60)
    send("slow", f"{key}-slow", 12, queue=queue, priority=9)
    with mishaps.worker(broker, pool, tmp_path, "-c2") as worker:
        wait_for_notes(f"{key}-slow")
        wait_for_log(worker, f"{deadly}] received")
        assert stop(worker, LONGEST_SECONDS) == 0
    assert noted(f"{key}-slow") == ["began", "ended"]
    assert len(noted(key)) == EXECUTIONS - 1
    Left(broker, queue).expect([deadly])


@pytest.mark.parametrize("outage", ["frozen", "gone"])
@pytest.mark.parametrize("kind", [LocalRedis, LocalRabbitMQ])
def test_it_stops_although_its_broker_does_not_answer(tmp_path, kind, outage):
    with ExitStack() as stack:
        server = stack.enter_context(kind(tmp_path / "broker"))
        state = stack.enter_context(LocalRedis(tmp_path / "state"))
        records = Records(tmp_path / "records")
        records.folder.mkdir()
        setup = Setup(
            broker=server.url() if kind is LocalRedis else server.url, records=records.folder, state=state.url()
        )

        def happened(what: str, tasks: list[str]) -> bool:
            records.read()
            return all(records.count(what, task) for task in tasks)

        def start(name: str, *arguments: str) -> ChildProcess:
            crew = stack.enter_context(Crew(FLEET, setup, tmp_path / name, ("-c2", *arguments)))
            return crew.workers[crew.add()]

        workers = {pool: start(pool, f"--pool={pool}") for pool in mishaps.POOLS}
        with fleet(setup) as publisher:
            tasks = [publisher.send_task(WORK, (4,), queue=QUEUE).id for _ in range(7)]
            wait_for(lambda: happened(STARTED, tasks), "all to begin", 60)
            tasks += [publisher.send_task(WORK, (0.01,), queue=QUEUE).id for _ in range(10)]
        server.pause() if outage == "frozen" else server.kill()
        stops = [Stop(f"{server.name} {outage} {pool}", worker) for pool, worker in workers.items()]
        assert None not in [stopping.wait(LONGEST_SECONDS) for stopping in stops]
        server.resume() if outage == "frozen" else server.start()
        start("last")
        wait_for(lambda: happened(ENDED, tasks), "all to end", 90)
