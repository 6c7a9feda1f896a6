"""Poison stops after as many executions as the queue table allows, is kept, and keeps nothing else from running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit

import pytest
from celery import chord

from shared.dead_letters import Reason
from shared.errors import DeadLettered, PoisonTask
from shared.queues import Pool
from shared.worker.poison import key as deaths_of
from tests.fixtures import mishaps
from tests.fixtures.brokers import environment
from tests.fixtures.proxy import Proxy, proxy_to
from tests.fleet.inspection import wait_for
from tests.fleet.mishaps import BROKERS, app, fetched_ahead, noted, queue_of, state

pytestmark = pytest.mark.usefixtures("afresh")

LIMIT = 3
MANY_AT_ONCE = (Pool.THREADS, Pool.GEVENT, Pool.PREFORK)
CONNECTED_ANEW = "onnection to broker lost"


def poison(broker: str, queue: str) -> list[str | None]:
    """The ids of the tasks of a queue that are kept as poison."""
    return [letter.id for letter in mishaps.letters(broker, queue) if letter.reason is Reason.POISON]


def send(task: str, *args, queue: str, **options):
    return app.send_task(f"mishap.{task}", args, queue=queue, priority=0, **options)


@pytest.mark.parametrize("broker", BROKERS)
def test_a_task_that_kills_its_child_is_stopped_and_everybody_hears_of_it(brokers, tmp_path, broker):
    key, queue = f"child-{broker}", queue_of(broker, "prefork")
    with mishaps.worker(broker, "prefork", tmp_path, "-c1"):
        deadly = send("kill_process", key, queue=queue, link_error=app.signature("mishap.tell"))
        good = [send("good", f"{key}-good", f"{number}", queue=queue) for number in range(10)]
        header = [app.signature("mishap.good", (f"{key}-good", "member")), app.signature("mishap.kill_process", (key,))]
        body = chord([member.set(queue=queue) for member in header], app=app)(
            app.signature("mishap.gather", queue=queue)
        )
        with pytest.raises(PoisonTask, match="took its process with it 3 times"):
            deadly.get(timeout=60)
        with pytest.raises(PoisonTask):
            body.get(timeout=60)
        assert [result.get(timeout=30) for result in good] == [f"{number}" for number in range(10)]
        wait_for(lambda: {deadly.id, body.parent[1].id} <= set(poison(broker, queue)), "two dead letters")
    assert len(noted(key)) == 2 * LIMIT
    assert len(set(noted(key))) == 2 * LIMIT, "each execution has a process of its own"
    assert noted(f"errback-{deadly.id}") == ["PoisonTask"]
    with state() as client:
        assert not client.exists(deaths_of(deadly.id))


@pytest.mark.parametrize("pool", mishaps.POOLS)
@pytest.mark.parametrize("broker", BROKERS)
def test_a_task_that_kills_its_worker_is_stopped(brokers, tmp_path, broker, pool):
    key, queue = f"worker-{broker}-{pool}", queue_of(broker, pool)
    deadly = send("kill_worker", key, queue=queue)
    good = [send("good", f"{key}-good", f"{number}", queue=queue) for number in range(10)]
    with mishaps.kept_alive(broker, pool, tmp_path, "-c1") as workers:
        with pytest.raises(PoisonTask, match="took its process with it 3 times"):
            deadly.get(timeout=120)
        assert [result.get(timeout=60) for result in good] == [f"{number}" for number in range(10)]
        wait_for(lambda: deadly.id in poison(broker, queue), "the dead letter")
    assert len(noted(key)) == LIMIT
    assert len(workers) == LIMIT + 1


@pytest.mark.parametrize("broker", BROKERS)
def test_what_was_only_held_by_dying_workers_has_all_its_tries(brokers, tmp_path, broker):
    key, queue = f"held-{broker}", fetched_ahead(broker)
    first = send("kill_worker", f"{key}-first", queue=queue)
    second = send("kill_worker", f"{key}-second", queue=queue)
    good = [send("good", f"{key}-good", f"{number}", queue=queue) for number in range(10)]
    with mishaps.kept_alive(broker, "threads", tmp_path, "-c1", f"-Q{queue}"):
        for result in (first, second):
            with pytest.raises(PoisonTask):
                result.get(timeout=120)
        assert [result.get(timeout=60) for result in good] == [f"{number}" for number in range(10)]
    assert len(noted(f"{key}-first")) == LIMIT + 1, "nobody can know of the first execution of what is fetched ahead"
    assert len(noted(f"{key}-second")) == LIMIT
    assert set(poison(broker, queue)) >= {first.id, second.id}


@pytest.mark.parametrize("pool", MANY_AT_ONCE)
@pytest.mark.parametrize("broker", BROKERS)
def test_what_a_dead_worker_held_starts_again_side_by_side(brokers, tmp_path, broker, pool):
    """Its death is no reason to have them run one after the other."""
    key, queue = f"again-{broker}-{pool}", queue_of(broker, pool)
    tasks = [send("slow", key, 6, queue=queue) for _ in range(4)]
    dying = mishaps.start(broker, pool, tmp_path, "-c4")
    try:
        wait_for(lambda: len(noted(key)) == 4, "all to begin")
    finally:
        dying.kill()
    with mishaps.worker(broker, pool, tmp_path, "-c4"):
        for task in tasks:
            task.get(timeout=60)
    assert noted(key) == ["began"] * 8 + ["ended"] * 4


@pytest.mark.parametrize("pool", MANY_AT_ONCE)
def test_nobody_is_buried_for_a_neighbour(brokers, tmp_path, pool):
    """They run beside the poison each time that it kills the worker, but for the last time that they may."""
    key, queue = f"neighbours-{pool}", queue_of("batch", pool)
    neighbours = [send("slow", f"{key}-{number}", 2, queue=queue) for number in range(3)]
    deadly = send("kill_later", key, 1, queue=queue)
    with mishaps.kept_alive("batch", pool, tmp_path, "-c4"):
        with pytest.raises(PoisonTask):
            deadly.get(timeout=120)
        for neighbour in neighbours:
            neighbour.get(timeout=60)
    assert len(noted(key)) == LIMIT
    for number, neighbour in enumerate(neighbours):
        assert noted(f"{key}-{number}") == ["began"] * LIMIT + ["ended"]
        with state() as client:
            assert not client.exists(deaths_of(neighbour.id))


@pytest.mark.parametrize("pool", [Pool.THREADS, Pool.PREFORK])
@pytest.mark.parametrize("broker", BROKERS)
def test_an_execution_counts_though_its_connection_broke_before_it_killed_its_worker(brokers, tmp_path, broker, pool):
    """It was kept over the new connection, and is no innocent for that."""
    key, queue = f"connection-{broker}-{pool}", queue_of(broker, pool)
    deadly = send("kill_later", key, 6, queue=queue)
    with behind_a_proxy(brokers, broker) as proxy, mishaps.kept_alive(broker, pool, tmp_path, "-c1") as workers:
        for execution in range(1, LIMIT + 1):
            wait_for(partial(runs, deadly.id, key, execution), f"execution {execution}", 60)
            proxy.cut()
            wait_for(lambda: CONNECTED_ANEW in workers[-1].output, "the worker to notice")
        with pytest.raises(PoisonTask):
            deadly.get(timeout=60)
    assert len(noted(key)) == LIMIT


def runs(task: str, key: str, execution: int) -> bool:
    """Whether a worker says that it runs a task, for the so-manieth time."""
    if len(noted(key)) != execution:
        return False
    answers = app.control.inspect(timeout=0.5).active() or {}
    return any(running["id"] == task for tasks in answers.values() for running in tasks)


@contextmanager
def behind_a_proxy(brokers: dict[str, str], broker: str) -> Iterator[Proxy]:
    """Have processes that are started reach a broker through a proxy."""
    variable = f"YARD_BROKER_{broker.upper()}_URL"
    url = brokers[variable]
    port = urlsplit(url).port
    assert port is not None
    with proxy_to(port) as proxy, environment({variable: url.replace(f":{port}/", f":{proxy.port}/")}):
        yield proxy


@pytest.mark.parametrize("pool", mishaps.POOLS)
def test_a_task_that_exits_is_stopped_and_does_not_end_the_worker(brokers, tmp_path, pool):
    key, queue = f"exit-{pool}", queue_of("batch", pool)
    with mishaps.worker("batch", pool, tmp_path, "-c1") as worker:
        leaving = send("exit", key, queue=queue)
        with pytest.raises(PoisonTask):
            leaving.get(timeout=60)
        assert send("good", f"{key}-good", "1", queue=queue).get(timeout=30) == "1"
        assert worker.process.poll() is None
    assert len(noted(key)) == LIMIT


def test_without_shared_state_a_worker_stops_what_kills_its_children(brokers, tmp_path):
    key, queue = "stateless", queue_of("batch", "prefork")
    with mishaps.worker("batch", "prefork", tmp_path, "-c1", app="tests.fleet.mishaps:without_state"):
        deadly = send("kill_process", key, queue=queue)
        with pytest.raises(DeadLettered):
            deadly.get(timeout=60)
    assert len(noted(key)) == LIMIT
    assert deadly.id in poison("batch", queue)


@pytest.mark.parametrize("broker", BROKERS)
def test_what_a_stopping_worker_gives_back_is_no_suspect(brokers, tmp_path, broker):
    """Two workers take and give back the same messages; each of them still has all its tries, and none runs alone."""
    key, queue = f"given-back-{broker}", fetched_ahead(broker)
    for _ in range(2):
        with mishaps.worker(broker, "threads", tmp_path, "-c1", f"-Q{queue}"):
            running = send("slow", f"{key}-slow", 1, queue=queue)
            wait_for(lambda: "began" in noted(f"{key}-slow"), "a task to run")
            waiting = [send("good", key, f"{number}", queue=queue) for number in range(5)]
            running.forget()
    with mishaps.worker(broker, "threads", tmp_path, "-c4", f"-Q{queue}") as worker:
        for result in waiting:
            result.get(timeout=30)
        assert "runs alone" not in worker.output
