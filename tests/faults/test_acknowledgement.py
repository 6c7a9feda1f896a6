"""Acknowledged early, late or by hand: killed before that, a task runs again; killed after it, it has failed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager
from itertools import product
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest
import redis
from celery import chord

from shared.errors import LostAfterAcknowledgement
from shared.names import BrokerName
from shared.queues import Pool
from shared.transports.claims import HELD
from shared.worker.acknowledged import KEPT, OWNERS
from tests.fixtures.brokers import environment
from tests.fixtures.proxy import proxy_to
from tests.fixtures.workers import WorkerProcess
from tests.fleet.acknowledging import AFTER, BEFORE, BROKERS, POOLS, app, as_text, give_sign, queue_of, steps
from tests.fleet.inspection import wait_for

EACH = [pytest.param(broker, pool, id=f"{broker}-{pool}") for broker, pool in product(BROKERS, POOLS)]
EACH_BROKER = pytest.mark.parametrize("broker", BROKERS)
PROMISED_SECONDS = 15.0
DEADLINE_SECONDS = 60.0
"""The machine may be busy; what was measured is printed."""


@pytest.fixture(autouse=True)
def here(brokers):
    """Let this process, unlike some of the workers, go to the servers directly."""
    assert app.brokers
    assert app.state.client.ping()


@pytest.fixture
def start(tmp_path):
    """Start workers of a queue; all are gone after the test."""
    with ExitStack() as stack:

        def start_worker(broker, pool, *, concurrency=1, fleet="app"):
            worker = WorkerProcess(
                f"tests.fleet.acknowledging:{fleet}",
                *(f"-Q{queue_of(broker, pool)}", f"--pool={pool}", f"-c{concurrency}", f"-n{uuid4().hex}@test"),
                *("--without-mingle", "--without-gossip"),
                log=tmp_path / f"{uuid4().hex}.log",
                ready=False,
            )
            stack.callback(worker.kill)
            return worker

        yield start_worker


@pytest.fixture
def rabbitmq_proxy(brokers):
    """A proxy before RabbitMQ, for the workers that start within this fixture."""
    url = brokers["YARD_BROKER_BATCH_URL"]
    port = urlsplit(url).port
    with proxy_to(port) as proxy, environment({"YARD_BROKER_BATCH_URL": url.replace(f":{port}", f":{proxy.port}")}):
        yield proxy


def send(task, broker, pool, *args, **options):
    return app.send_task(task, args, queue=queue_of(broker, pool), **options)


def errback(key, broker, pool):
    return app.signature("ack.failed", args=(key,), queue=queue_of(broker, pool))


def noted(key, step):
    try:
        return wait_for(lambda: step in steps(key), f"{step!r} of {key}", DEADLINE_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{error}; it noted {steps(key)}") from None


def failure(result):
    """Wait for a failure and return it."""
    wait_for(result.ready, f"the failure of {result.id}", DEADLINE_SECONDS)
    return result.result


def no_record_left(*results):
    """Wait until shared state knows nothing of executions any more."""
    ids = {result.id for result in results}

    def gone():
        recorded = app.state.client.hkeys(OWNERS) + app.state.client.hkeys(KEPT)
        return not ids & {as_text(message).partition(":")[0] for message in recorded}

    wait_for(gone, "the records to go")


@contextmanager
def measured(what):
    """Print how long something took, beside what is promised."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s (promised: {PROMISED_SECONDS:g})")


@pytest.mark.concept("early ack, late ack")
@pytest.mark.concept("manual ack")
@pytest.mark.parametrize(("broker", "pool"), EACH)
def test_a_worker_is_killed_before_and_after_the_line(start, broker, pool):
    after, early, before = (f"{halt}-{uuid4()}" for halt in (AFTER, "early", BEFORE))
    results = {}
    for key, task, args, step in (
        (after, "ack.by_hand", (after, AFTER), "told True"),
        (early, "ack.early", (early,), "told True"),
        (before, "ack.by_hand", (before, BEFORE), "began"),
    ):
        victim = start(broker, pool)
        victim.wait_until_ready()
        results[key] = send(task, broker, pool, *args, link_error=errback(key, broker, pool))
        noted(key, step)
        if key == before:  # the last one: a worker that is there sees it die
            start(broker, pool).wait_until_ready()
        victim.kill()
    with measured(f"{broker} {pool}, killed after the line, recorded as failed"):
        with measured(f"{broker} {pool}, killed before the line, done"):
            assert results[before].get(timeout=DEADLINE_SECONDS) == "done"
        for key in (after, early):
            assert isinstance(failure(results[key]), LostAfterAcknowledgement)
    assert steps(before) == ["began", "began", "told True", "done"]
    for key in (after, early):
        noted(key, f"failed {results[key].id}")
        assert steps(key) == ["began", "told True", f"failed {results[key].id}"]
    no_record_left(*results.values())


@pytest.mark.concept("manual ack")
@pytest.mark.parametrize(("broker", "pool"), EACH)
def test_it_returns_whether_the_broker_was_told_and_may_be_called_again(start, broker, pool):
    start(broker, pool).wait_until_ready()
    assert send("ack.twice", broker, pool, "twice").get(timeout=DEADLINE_SECONDS) == [True, True]
    key = str(uuid4())
    assert send("ack.retry", broker, pool, key).get(timeout=DEADLINE_SECONDS) == 2
    assert steps(key) == ["told True"] * 3
    numbers = [send("ack.quick", broker, pool, number) for number in range(50)]
    assert [result.get(timeout=DEADLINE_SECONDS) for result in numbers] == list(range(50))
    no_record_left(*numbers)


@EACH_BROKER
@pytest.mark.parametrize("fleet", ["app", "without_state"])
def test_a_child_process_is_killed_before_and_after_the_line(start, broker, fleet):
    pool = Pool.PREFORK
    start(broker, pool, fleet=fleet).wait_until_ready()
    before, after, early = (f"{halt}-{uuid4()}" for halt in (BEFORE, AFTER, "early"))
    assert send("ack.by_hand", broker, pool, before, BEFORE, "kill").get(timeout=DEADLINE_SECONDS) == "done"
    assert steps(before) == ["began", "began", "told True", "done"]
    for key, task, args in ((after, "ack.by_hand", (after, AFTER, "kill")), (early, "ack.early", (early, "kill"))):
        with measured(f"{task} in a child that is killed, recorded as failed"):
            result = send(task, broker, pool, *args, link_error=errback(key, broker, pool))
            assert isinstance(failure(result), LostAfterAcknowledgement)
        noted(key, f"failed {result.id}")
        assert steps(key) == ["began", "told True", f"failed {result.id}"]


@EACH_BROKER
def test_a_chord_learns_of_the_loss(start, broker):
    pool = Pool.THREADS
    victim = start(broker, pool, concurrency=2)
    victim.wait_until_ready()
    key = f"chord-{uuid4()}"
    header = [
        app.signature("ack.by_hand", args=(key, AFTER), queue=queue_of(broker, pool)),
        app.signature("ack.quick", args=(1,), queue=queue_of(broker, pool)),
    ]
    body = app.signature("ack.body", queue=queue_of(broker, pool), link_error=[errback(key, broker, pool)])
    result = chord(header, body, app=app).apply_async()
    noted(key, "told True")
    survivor = start(broker, pool)
    survivor.wait_until_ready()
    victim.kill()
    with measured("the chord of a task whose worker was killed failed"):
        assert "was acknowledged before it was done" in str(failure(result))
    noted(key, f"failed {result.id}")


@EACH_BROKER
def test_a_fleet_that_died_as_a_whole_records_its_losses_when_it_is_back(start, broker):
    """Nobody watched meanwhile; the new worker must not take long to trust that the old ones are dead."""
    pool = Pool.PREFORK
    victim = start(broker, pool)
    victim.wait_until_ready()
    key = f"fleet-{uuid4()}"
    result = send("ack.by_hand", broker, pool, key, AFTER, link_error=errback(key, broker, pool))
    noted(key, "told True")
    victim.kill()
    with measured(f"{broker}: every worker killed and one started, recorded as failed"):
        start(broker, pool)
        assert isinstance(failure(result), LostAfterAcknowledgement)
    noted(key, f"failed {result.id}")
    no_record_left(result)


@EACH_BROKER
def test_errbacks_run_once_where_the_loss_was_stored_before_its_worker_died(start, brokers, broker):
    """The child is killed, its worker stores that and calls the errback, and dies before it can remove the record."""
    url = brokers["YARD_STATE_URL"]
    port = urlsplit(url).port
    with proxy_to(port) as proxy:
        with environment({"YARD_STATE_URL": url.replace(f":{port}", f":{proxy.port}")}):
            victim = start(broker, Pool.PREFORK)
            victim.wait_until_ready()
        start(broker, Pool.THREADS).wait_until_ready()
        key = f"errback-{uuid4()}"
        result = send("ack.by_hand", broker, Pool.PREFORK, key, AFTER, link_error=errback(key, broker, Pool.THREADS))
        noted(key, "told True")
        proxy.refuse()
        for child in psutil.Process(victim.process.pid).children():
            child.kill()
        noted(key, f"failed {result.id}")
        victim.kill()
        no_record_left(result)
    assert isinstance(result.result, LostAfterAcknowledgement)
    assert send("ack.quick", broker, Pool.THREADS, 1).get(timeout=DEADLINE_SECONDS) == 1  # behind any errback
    assert steps(key) == ["began", "told True", f"failed {result.id}"]


@EACH_BROKER
@pytest.mark.parametrize("parent_first", [False, True], ids=["all at once", "parent first"])
def test_a_worker_that_stood_still_does_not_overwrite_the_failure(start, broker, parent_first):
    pool = Pool.PREFORK
    victim = start(broker, pool)
    victim.wait_until_ready()
    key = f"frozen-{uuid4()}"
    app.state.client.delete("sign:sign")
    result = send("ack.by_hand", broker, pool, key, AFTER, "sign")
    noted(key, "told True")
    start(broker, pool).wait_until_ready()
    os.killpg(victim.process.pid, signal.SIGSTOP)
    with measured("a worker that stands still has lost its work"):
        assert isinstance(failure(result), LostAfterAcknowledgement)
    give_sign("sign")
    if parent_first:
        victim.process.send_signal(signal.SIGCONT)
        wait_for(lambda: "was recorded as lost while this worker stood still" in victim.output, "it to renew again")
    os.killpg(victim.process.pid, signal.SIGCONT)
    noted(key, "done")
    wait_for(lambda: "it ends unseen" in victim.output, "the worker to notice")
    assert isinstance(result.result, LostAfterAcknowledgement)


@pytest.mark.parametrize("pool", [Pool.PREFORK, Pool.THREADS, Pool.GEVENT])
def test_over_a_new_connection_it_acknowledges_the_new_delivery(start, pool, rabbitmq_proxy):
    broker = BrokerName.BATCH
    worker = start(broker, pool)
    worker.wait_until_ready()
    key = f"cut-{uuid4()}"
    result = send("ack.after_a_sign", broker, pool, key)
    noted(key, "began")
    rabbitmq_proxy.cut()
    wait_for(lambda: "is delivered again while it runs here" in worker.output, "the new delivery", DEADLINE_SECONDS)
    give_sign(key)
    assert result.get(timeout=DEADLINE_SECONDS) is True
    assert steps(key) == ["began", "told True"]
    no_record_left(result)


def test_it_says_so_when_the_connection_is_lost(start, rabbitmq_proxy):
    """In solo nobody connects anew while the task runs."""
    broker, pool = BrokerName.BATCH, Pool.SOLO
    start(broker, pool).wait_until_ready()
    key = f"cut-{uuid4()}"
    result = send("ack.after_a_sign", broker, pool, key)
    noted(key, "began")
    rabbitmq_proxy.cut()
    give_sign(key)
    noted(key, "told False")
    assert result.get(timeout=DEADLINE_SECONDS) is False
    no_record_left(result)
    assert send("ack.twice", broker, pool, "anew").get(timeout=DEADLINE_SECONDS) == [True, True]


def test_what_is_handed_out_again_although_it_was_acknowledged_does_not_run(start, brokers, rabbitmq_proxy):
    """The acknowledgement was written to a connection that was dead already, which nobody can notice."""
    broker, pool = BrokerName.BATCH, Pool.PREFORK
    start(broker, pool).wait_until_ready()
    key = f"lost-{uuid4()}"
    result = send("ack.after_a_sign", broker, pool, key, f"{key}-end")
    noted(key, "began")
    with environment({"YARD_BROKER_BATCH_URL": brokers["YARD_BROKER_BATCH_URL"]}):
        other = start(broker, pool)
        other.wait_until_ready()
    rabbitmq_proxy.freeze()
    give_sign(key)
    noted(key, "told True")
    rabbitmq_proxy.refuse()
    wait_for(lambda: f"{result.id} was handed out again" in other.output, "the other to refuse it", DEADLINE_SECONDS)
    give_sign(f"{key}-end")
    assert result.get(timeout=DEADLINE_SECONDS) is True
    assert steps(key) == ["began", "told True"]
    rabbitmq_proxy.thaw()
    rabbitmq_proxy.accept()
    no_record_left(result)


@EACH_BROKER
@pytest.mark.parametrize("pool", [Pool.THREADS, Pool.GEVENT])
def test_nothing_is_acknowledged_before_its_end_while_shared_state_is_gone(start, brokers, broker, pool):
    url = brokers["YARD_STATE_URL"]
    port = urlsplit(url).port
    with proxy_to(port) as proxy, environment({"YARD_STATE_URL": url.replace(f":{port}", f":{proxy.port}")}):
        worker = start(broker, pool)
        worker.wait_until_ready()
        proxy.refuse()
        assert send("ack.twice", broker, pool, "late").get(timeout=DEADLINE_SECONDS) == [False, False]
        early = send("ack.quick", broker, pool, 1)
        wait_for(lambda: f"Task ack.quick[{early.id}] received" in worker.output, "the worker to take it")
        wait_for(lambda: "what is acknowledged early waits" in worker.output, "the worker to notice")
        assert not early.ready()
        proxy.accept()
        assert early.get(timeout=DEADLINE_SECONDS) == 1
        no_record_left(early)


@pytest.mark.parametrize("outage", ["refuse", "freeze"])
@pytest.mark.parametrize(("broker", "pool"), EACH)
def test_what_waits_for_shared_state_holds_up_no_other_work(start, brokers, broker, pool, outage):
    """A worker with one place, more early work before it than that, and a late task at the end of the queue."""
    url = brokers["YARD_STATE_URL"]
    port = urlsplit(url).port
    with proxy_to(port) as proxy, environment({"YARD_STATE_URL": url.replace(f":{port}", f":{proxy.port}")}):
        worker = start(broker, pool)
        worker.wait_until_ready()
        getattr(proxy, outage)()
        early = [send("ack.quick", broker, pool, number) for number in range(5)]
        for number in range(3):
            assert send("ack.body", broker, pool, [number]).get(timeout=DEADLINE_SECONDS) == [number]
        assert not any(result.ready() for result in early)
        proxy.accept() if outage == "refuse" else proxy.thaw()
        assert [result.get(timeout=DEADLINE_SECONDS) for result in early] == list(range(5))
        no_record_left(*early)


@pytest.mark.parametrize("pool", POOLS)
def test_it_says_so_when_another_holds_the_message_on_redis(start, brokers, pool):
    broker = BrokerName.DEFAULT
    start(broker, pool).wait_until_ready()
    key = f"stale-{uuid4()}"
    result = send("ack.after_a_sign", broker, pool, key)
    noted(key, "began")
    with redis.Redis.from_url(brokers["YARD_BROKER_DEFAULT_URL"]) as client:
        client.delete(HELD)
    give_sign(key)
    assert result.get(timeout=DEADLINE_SECONDS) is False
    no_record_left(result)


@EACH_BROKER
def test_what_is_rejected_after_the_line_has_failed(start, broker):
    start(broker, Pool.THREADS).wait_until_ready()
    assert isinstance(failure(send("ack.reject", broker, Pool.THREADS)), LostAfterAcknowledgement)


@EACH_BROKER
@pytest.mark.parametrize("pool", [Pool.PREFORK, Pool.THREADS])
def test_a_task_may_acknowledge_while_its_worker_stops(start, broker, pool):
    worker = start(broker, pool)
    worker.wait_until_ready()
    key = f"stop-{uuid4()}"
    result = send("ack.after_a_sign", broker, pool, key)
    noted(key, "began")
    worker.process.terminate()
    wait_for(lambda: "Warm shutdown" in worker.output, "the worker to begin to stop")
    give_sign(key)
    assert result.get(timeout=DEADLINE_SECONDS) is True
    assert worker.process.wait(DEADLINE_SECONDS) == 0
    no_record_left(result)


def test_called_directly_there_is_nothing_to_acknowledge():
    assert app.tasks["ack.twice"]("direct") == [False, False]
    assert app.tasks["ack.twice"].apply(("eager",)).get() == [False, False]
