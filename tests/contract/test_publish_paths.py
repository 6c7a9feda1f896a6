"""Every path on which Celery publishes leads to the broker that owns the queue, seen in the brokers themselves."""

from __future__ import annotations

import multiprocessing
import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import Signature, chain, chord, group

from shared.brokers import switchyard_brokers
from shared.errors import UnknownQueue
from tests.fixtures.workers import WorkerProcess
from tests.fleet import tasks
from tests.fleet.app import app
from tests.fleet.inspection import ParkedMessages
from tests.fleet.tables import BROKERS, WORKERS, parked, served


@pytest.fixture(scope="module")
def look(brokers) -> ParkedMessages:
    return ParkedMessages(app)


@pytest.fixture(scope="module")
def workers(brokers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    started = [
        WorkerProcess(
            "tests.fleet.app",
            f"-Q{served(broker, pool)}",
            f"--pool={pool}",
            "-c1",
            f"-n{broker}.{pool}@test",
            "--without-mingle",
            log=folder / f"{broker}-{pool}.log",
            ready=False,
        )
        for broker, pool in WORKERS
    ]
    for worker in started:
        worker.wait_until_ready()
    yield
    for worker in started:
        worker.stop()


def new_id() -> str:
    return str(uuid.uuid4())


def park(broker, task_id=None, *args) -> Signature:
    """An ``echo`` that goes to the parked queue of a broker."""
    options = {"task_id": task_id} if task_id else {}
    return app.signature("try.echo", args=args, queue=parked(broker), **options)


def park_errback(broker, task_id) -> Signature:
    """An errback of the kind that Celery publishes: one that takes the id of the failed task, and no more."""
    return app.signature("try.note", queue=parked(broker), task_id=task_id)


def on(worker, task, *args) -> Signature:
    """A task that goes to the queue of a worker."""
    return app.signature(task, args=args, queue=served(*worker))


# From a client ------------------------------------------------------------------------------------------------


def by_delay(broker, task_id):
    return app.signature(f"try.parked_{broker}").delay().id


def by_apply_async(broker, task_id):
    tasks.echo.apply_async((1,), queue=parked(broker), task_id=task_id)


def by_send_task(broker, task_id):
    app.send_task("try.echo", (1,), queue=parked(broker), task_id=task_id)


def by_alias_in_a_call(broker, task_id):
    app.send_task("try.echo", (1,), queue=parked(broker), broker=broker, task_id=task_id)


def by_held_producer(broker, task_id):
    """A producer of the home broker is given, as groups and beat do."""
    with app.producer_or_acquire() as producer:
        app.send_task("try.echo", (1,), queue=parked(broker), producer=producer, task_id=task_id)


def by_foreign_connection(broker, task_id):
    other = BROKERS[(BROKERS.index(broker) + 1) % len(BROKERS)]
    with app.connection_for_write(other) as connection:
        app.send_task("try.echo", (1,), queue=parked(broker), connection=connection, task_id=task_id)


def by_group(broker, task_id):
    group(park(broker, new_id(), 1), park(broker, task_id, 2), app=app).apply_async()


def by_multiprocessing_fork(broker, task_id):
    child = multiprocessing.get_context("fork").Process(target=by_apply_async, args=(broker, task_id))
    child.start()
    child.join(20)
    assert child.exitcode == 0


def by_bare_fork(broker, task_id):
    """``os.fork``, as pre-forking web servers do, without multiprocessing's hooks."""
    pid = os.fork()
    if pid == 0:
        os._exit(exit_code_of(lambda: by_apply_async(broker, task_id)))
    assert os.waitpid(pid, 0)[1] == 0
    by_apply_async(broker, new_id())


def exit_code_of(act) -> int:
    """What a child of ``os.fork`` ends with, so that it never runs on into the tests of its parent."""
    try:
        act()
    except BaseException:  # noqa: BLE001
        return 1
    return 0


CLIENT_PATHS = [
    by_delay,
    by_apply_async,
    by_send_task,
    by_alias_in_a_call,
    by_held_producer,
    by_foreign_connection,
    by_group,
    by_multiprocessing_fork,
    by_bare_fork,
]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("path", CLIENT_PATHS, ids=lambda path: path.__name__)
def test_client_publishes_to_the_owner(look, path, broker):
    task_id = new_id()
    task_id = path(broker, task_id) or task_id
    assert look.broker_of(task_id) == broker


def test_threads_publish_to_the_owners_at_the_same_time(look):
    wanted = {new_id(): BROKERS[n % len(BROKERS)] for n in range(150)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(by_apply_async, wanted.values(), wanted))
    assert {task_id: look.broker_of(task_id) for task_id in wanted} == wanted


def test_route_by_alias_and_by_url_is_honoured_and_does_not_leak(look, fleet_of_tests):
    batch = switchyard_brokers()["batch"]
    for broker in ("batch", batch.url.get_secret_value()):
        fleet_of_tests.conf.task_routes = {"celery.*": {"queue": parked("batch"), "broker": broker, "priority": 3}}
        fleet_of_tests.amqp.flush_routes()
        result = fleet_of_tests.send_task("celery.backend_cleanup")
        headers = look.headers_of(result.id)
        assert look.broker_of(result.id) == "batch"
        assert headers["priority"] == 3
        assert batch.url.get_secret_value() not in str(headers)


# From a worker, in each pool ----------------------------------------------------------------------------------


def chain_step(worker, broker, task_id):
    chain(on(worker, "try.echo", 1), park(broker, task_id)).apply_async()


def chord_body(worker, broker, task_id):
    chord([on(worker, "try.echo", n) for n in range(3)], park(broker, task_id)).apply_async()


def chain_of_group(worker, broker, task_id):
    chain(group(on(worker, "try.echo", n) for n in range(3)), park(broker, task_id)).apply_async()


def callback(worker, broker, task_id):
    on(worker, "try.echo", 1).apply_async(link=park(broker, task_id))


def errback(worker, broker, task_id):
    on(worker, "try.fail").apply_async(link_error=park_errback(broker, task_id))


def chord_errback(worker, broker, task_id):
    body = on(worker, "try.echo").on_error(park_errback(broker, task_id))
    chord([on(worker, "try.echo", 1), on(worker, "try.fail")], body).apply_async()


def call_inside(worker, broker, task_id):
    on(worker, "try.call", parked(broker), task_id).apply_async()


def retry(worker, broker, task_id):
    on(worker, "try.retry_on", parked(broker)).apply_async(task_id=task_id)


def replace(worker, broker, task_id):
    on(worker, "try.replace", park(broker, None, 1)).apply_async(task_id=task_id)


def replace_by_a_chain(worker, broker, task_id):
    steps = chain(on(worker, "try.echo", 1), park(broker))
    on(worker, "try.replace", steps).apply_async(task_id=task_id)


WORKER_PATHS = [
    chain_step,
    chord_body,
    chain_of_group,
    callback,
    errback,
    chord_errback,
    call_inside,
    retry,
    replace,
    replace_by_a_chain,
]


@pytest.mark.parametrize("worker", WORKERS, ids="-".join)
@pytest.mark.parametrize("path", WORKER_PATHS, ids=lambda path: path.__name__)
def test_worker_publishes_to_the_owner(look, workers, path, worker):
    wanted = {new_id(): broker for broker in BROKERS}
    for task_id, broker in wanted.items():
        path(worker, broker, task_id)
    assert {task_id: look.broker_of(task_id) for task_id in wanted} == wanted


@pytest.mark.parametrize("worker", WORKERS, ids="-".join)
def test_retry_comes_back_to_its_own_queue(workers, worker):
    result = on(worker, "try.retry_here").apply_async()
    assert result.get(timeout=30) == [2, served(*worker)]


@pytest.mark.parametrize("worker", WORKERS, ids="-".join)
def test_a_retry_that_can_never_be_published_fails_the_task(workers, worker):
    with pytest.raises(UnknownQueue, match="nowhere"):
        on(worker, "try.retry_on", "nowhere").apply_async().get(timeout=30)
    assert on(worker, "try.echo", "goes on").apply_async().get(timeout=30) == "goes on"


def test_a_worker_refuses_to_consume_from_another_broker(workers):
    worker = ("default", "solo")
    with app.on_broker("default"):
        for queue in (parked("batch"), "nowhere"):
            app.control.add_consumer(queue, destination=["default.solo@test"], reply=True, timeout=5)
        (active,) = app.control.inspect(["default.solo@test"], timeout=5).active_queues().values()
    assert [queue["name"] for queue in active] == [served(*worker)]
    assert on(worker, "try.echo", "goes on").apply_async().get(timeout=30) == "goes on"
