"""Workers outlive their RabbitMQ: they consume again soon after it takes logins, and run nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import pytest
import redis
from kombu.exceptions import OperationalError

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from services.core.local.rabbitmq_server import NODE
from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.dead_letters import Reason, dead_letters
from shared.errors import InvalidTable
from shared.names import BrokerName
from shared.routing import TaskSpec
from shared.secret import SecretStr
from tests.fixtures.brokers import environment
from tests.fixtures.erlang import evaluate
from tests.fixtures.proxy import Proxy, proxy_to
from tests.fixtures.workers import WorkerProcess
from tests.fleet.inspection import wait_for
from tests.fleet.outliving import QUEUES, QUORUM, URGENT_QUORUM, classic

PROMISED_SECONDS = 10.0
MARGIN_SECONDS = 5.0
"""For a machine that does other things as well."""
POOLS = ("prefork", "threads", "gevent", "solo")


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory) -> Iterator[LocalRabbitMQ]:
    with LocalRabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(rabbitmq) -> Iterator[Proxy]:
    with proxy_to(rabbitmq.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def notes(rabbitmq, proxy, tmp_path_factory) -> Iterator[redis.Redis]:
    """The Redis in which tasks note what they do; workers reach RabbitMQ through the proxy."""
    home = tmp_path_factory.mktemp("fleet")
    with LocalRedis(tmp_path_factory.mktemp("redis")) as server:
        variables = {
            "YARD_BROKER_DEFAULT_URL": server.url(0),
            "YARD_BROKER_CRITICAL_URL": server.url(1),
            "YARD_RESULTS_URL": server.url(2),
            "YARD_STATE_URL": server.url(3),
            "YARD_BROKER_BATCH_URL": rabbitmq.url.replace(f":{rabbitmq.port}/", f":{proxy.port}/"),
            "YARD_BROKER_BATCH_MANAGEMENT_URL": rabbitmq.management_url,
            "YARD_HOME": str(home),
        }
        with environment(variables), redis.Redis.from_url(server.url(3), decode_responses=True) as client:
            yield client


@pytest.fixture(scope="module")
def caller(rabbitmq) -> Iterator[FleetCelery]:
    """Publishes past the proxy."""
    brokers = Brokers([Broker(BrokerName.BATCH, SecretStr(rabbitmq.url))])
    tasks = [TaskSpec(name, QUORUM) for name in ("outlive.run", "outlive.reject")]
    with FleetCelery("caller", brokers=brokers, queues=QUEUES, tasks=tasks) as app:
        yield app


class Worker(WorkerProcess):
    """A worker of one queue, and an app that publishes to it."""

    def __init__(self, pool: str, queue: str, caller: FleetCelery, log: Path, *arguments: str) -> None:
        self.queue = queue
        self.caller = caller
        super().__init__("tests.fleet.outliving", f"-Q{queue}", f"--pool={pool}", "-c2", "-E", *arguments, log=log)


@pytest.fixture
def worker(notes, caller, tmp_path, request) -> Iterator[Worker]:
    pool, queue = request.param
    with started(pool, queue, caller, tmp_path / "log") as worker:
        yield worker


@contextmanager
def started(pool: str, queue: str, caller: FleetCelery, log: Path, *arguments: str) -> Iterator[Worker]:
    worker = Worker(pool, queue, caller, log, *arguments)
    try:
        yield worker
    finally:
        worker.stop()


def of_pool(*pools, queue=None):
    parameters = [(pool, queue or classic(pool)) for pool in pools]
    return pytest.mark.parametrize("worker", parameters, indirect=True, ids=pools)


def publish(worker: Worker, seconds=0.0) -> str:
    return put(worker.caller, worker.queue, seconds)


def put(caller: FleetCelery, queue: str, seconds: float = 0.0) -> str:
    key = f"note:{uuid4()}"
    caller.send_task("outlive.run", (key, seconds), queue=queue)
    return key


def runs_again(worker: Worker, notes, since: float) -> float:
    """Publish tasks until one has run; return how long after ``since`` that was.

    RabbitMQ hands the first ones to a connection that broke, for as long as it believes in it.
    """
    keys: list[str] = []

    def ran() -> bool:
        if not keys or monotonic() - since > len(keys) * 0.5:
            keys.append(publish(worker))
        return any(notes.llen(key) >= 2 for key in keys)

    wait_for(ran, "a task to run", PROMISED_SECONDS + MARGIN_SECONDS)
    seconds = monotonic() - since
    print(f"{worker.queue}: runs again after {seconds:.1f} s")
    assert worker.process.poll() is None, f"the worker ended:\n{worker.output}"
    assert seconds < PROMISED_SECONDS + MARGIN_SECONDS
    wait_for(lambda: all(notes.llen(key) >= 2 for key in keys), "all tasks to run")
    return seconds


def restarted(rabbitmq, proxy) -> None:
    rabbitmq.restart()


def killed(rabbitmq, proxy) -> None:
    rabbitmq.kill()
    rabbitmq.start()


def frozen(rabbitmq, proxy) -> None:
    rabbitmq.pause()
    sleep(20)  # the length of the freeze
    rabbitmq.resume()


def half_open(rabbitmq, proxy) -> None:
    proxy.half_open()


def cut_off(rabbitmq, proxy) -> None:
    """Nothing passes for a while, and nothing of the old connections ever again."""
    proxy.freeze()
    sleep(15)  # the length of the outage
    proxy.half_open()
    proxy.thaw()


@of_pool(*POOLS)
def test_a_worker_outlives_what_happens_to_rabbitmq(worker, rabbitmq, proxy, notes):
    runs_again(worker, notes, monotonic())
    pid = worker.process.pid
    for mishap in (restarted, killed, half_open, frozen, cut_off):
        print(mishap.__name__)
        mishap(rabbitmq, proxy)
        runs_again(worker, notes, monotonic())
        wait_for(worker.caller.control.ping, "an answer to a ping")
    assert worker.process.pid == pid


@of_pool("prefork", "threads", "gevent")
@pytest.mark.parametrize("mishap", [restarted, half_open])
def test_what_runs_is_not_started_again_beside_itself(worker, rabbitmq, proxy, notes, mishap):
    keys = [publish(worker, seconds=20) for _ in range(2)]
    wait_for(lambda: all(notes.llen(key) == 1 for key in keys), "both tasks to start")
    mishap(rabbitmq, proxy)
    wait_for(lambda: all(notes.llen(key) >= 2 for key in keys), "both tasks to end", 60)
    runs_again(worker, notes, monotonic())
    assert [notes.lrange(key, 0, -1) for key in keys] == [["start", "end"]] * 2, worker.output
    assert worker.output.count("is not started twice") >= 2, "RabbitMQ has not delivered them again"
    wait_for(lambda: depth(worker) == 0, "the queue to be empty")


@of_pool("solo")
def test_a_task_that_holds_up_the_loop_keeps_its_connection(worker, notes):
    key = publish(worker, seconds=20)
    wait_for(lambda: notes.llen(key) == 2, "the task to end", 60)
    runs_again(worker, notes, monotonic())
    assert notes.lrange(key, 0, -1) == ["start", "end"]
    assert "onnection to broker lost" not in worker.output


@pytest.fixture
def impatient(rabbitmq) -> Iterator[None]:
    """RabbitMQ takes messages back after some seconds, from those who do not ask for more."""
    evaluate(rabbitmq, "application set_env [rabbit,consumer_timeout,3000]")
    evaluate(rabbitmq, "application set_env [rabbit,channel_tick_interval,1000]")
    yield
    evaluate(rabbitmq, "application set_env [rabbit,consumer_timeout,1800000]")
    evaluate(rabbitmq, "application set_env [rabbit,channel_tick_interval,60000]")


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
@pytest.mark.usefixtures("impatient")
def test_a_consumer_timeout_ends_no_worker_and_starts_nothing_twice(pool, caller, rabbitmq, notes, tmp_path):
    """RabbitMQ before 3.11.15 closes the channel, again and again; later ones heed what the worker asks for."""
    with started(pool, classic(pool), caller, tmp_path / "log") as worker:
        key = publish(worker, seconds=15)
        wait_for(lambda: notes.llen(key) >= 2, "the task to end", 60)
        runs_again(worker, notes, monotonic())
        assert notes.lrange(key, 0, -1) == ["start", "end"]
        wait_for(lambda: depth(worker) == 0, "the queue to be empty")
        print(f"the channel was closed {worker.output.count('PRECONDITION_FAILED')} times")


@contextmanager
def out_of_memory(rabbitmq: LocalRabbitMQ) -> Iterator[None]:
    """RabbitMQ takes no messages, and hands out those that it has, for the length of a ``with`` block."""
    alarm = f"{{resource_limit,memory,'{NODE}'}}"
    evaluate(rabbitmq, f"rabbit_alarm set_alarm [{{{alarm},[]}}]")
    try:
        yield
    finally:
        evaluate(rabbitmq, f"rabbit_alarm clear_alarm [{alarm}]")


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_that_starts_while_rabbitmq_takes_no_messages_works(pool, caller, rabbitmq, notes, tmp_path):
    """With a greeting to its neighbours and with events; it does all that waits, and hears commands afterwards."""
    node = f"{pool}-under-alarm@outlive"
    keys = [put(caller, classic(pool), 0.05) for _ in range(100)]
    with ExitStack() as stack:
        with out_of_memory(rabbitmq):
            worker = stack.enter_context(started(pool, classic(pool), caller, tmp_path / "log", f"--hostname={node}"))
            wait_for(lambda: all(notes.llen(key) == 2 for key in keys), "all that waits to be done")
            with pytest.raises(OperationalError, match="out of reach"):
                caller.control.ping(destination=[node])
        wait_for(lambda: caller.control.ping(destination=[node]), "an answer to a ping")
        runs_again(worker, notes, monotonic())
        assert "onnection to broker lost" not in worker.output


@of_pool("prefork", queue=QUORUM)
def test_a_quorum_queue_works_and_outlives_a_restart(worker, rabbitmq, proxy, notes):
    runs_again(worker, notes, monotonic())
    restarted(rabbitmq, proxy)
    runs_again(worker, notes, monotonic())


def test_urgency_in_a_quorum_queue_is_refused_at_start(notes, tmp_path):
    worker = WorkerProcess("tests.fleet.outliving", f"-Q{URGENT_QUORUM}", log=tmp_path / "log", ready=False)
    try:
        assert wait_for(worker.process.poll, "the worker to refuse", 60) != 0
        assert "has no priorities in quorum queues" in worker.output
        assert InvalidTable.__name__ in worker.output
    finally:
        worker.kill()


@pytest.mark.parametrize(
    "worker", [("prefork", classic("prefork")), ("prefork", QUORUM)], indirect=True, ids=["classic", "quorum"]
)
def test_what_is_rejected_lies_with_the_dead_letters(worker):
    worker.caller.send_task("outlive.reject", queue=worker.queue)

    def dead() -> list[tuple[str | None, str, Reason]]:
        letters = dead_letters(worker.caller, BrokerName.BATCH)
        return [(letter.task, letter.queue, letter.reason) for letter in letters if letter.queue == worker.queue]

    wait_for(lambda: dead() == [("outlive.reject", worker.queue, Reason.FAILED)], "the dead letter")


def depth(worker: Worker) -> int:
    with worker.caller.connection_for_read() as connection, connection.channel() as channel:
        return int(channel.queue_declare(worker.queue, passive=True).message_count)
