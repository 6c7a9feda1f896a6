"""Tasks with a countdown or an eta wait in shared state, run once when they are due, and can be revoked until then."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from urllib.parse import urlsplit

import psutil
import pytest
import redis
from celery import chord
from celery.exceptions import ChordError, TaskRevokedError
from kombu.exceptions import OperationalError

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.delays.entry import Entry
from shared.delays.remote import NODE
from shared.delays.table import DelayTable
from shared.errors import FleetError
from shared.metrics import DelayedCollector
from shared.queues import Pool
from shared.secret import SecretStr
from shared.settings import load_settings
from shared.state import State
from shared.task import PAUSE_SECONDS
from shared.worker.poison import BLIND_SECONDS
from tests.fixtures.brokers import environment
from tests.fixtures.delays import NOBODY_LISTENS, fleet_without, forget_all, moving, state, store_many, waiting
from tests.fixtures.proxy import proxy_to
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fleet import delaying, tasks
from tests.fleet.app import app
from tests.fleet.inspection import ParkedMessages, messages, wait_for
from tests.fleet.tables import BROKERS, QUEUES, WORKERS, parked, served

APP = "tests.fleet.delaying"
NAMES = (f"delays-{number}" for number in count())
TWO_BROKERS = pytest.mark.parametrize("broker", [BROKERS[0], BROKERS[2]])


@pytest.fixture(autouse=True)
def _no_leftovers(brokers):
    yield
    forget_all()


@pytest.fixture
def key():
    name = next(NAMES)
    yield name
    with delaying.results() as client:
        client.delete(name)


@pytest.fixture
def start(brokers, tmp_path):
    """Starts workers; what they left in their queues is thrown away."""
    with ExitStack() as stack:
        started = []

        def start_worker(broker, pool=Pool.PREFORK, *, ready=True, variables=None):
            options = (f"-Q{served(broker, pool)}", f"--pool={pool}", "-c1", "--without-mingle")
            name = next(NAMES)
            with environment({**brokers, **(variables or {})}):
                worker = WorkerProcess(APP, *options, f"-n{name}@test", log=tmp_path / name, ready=False)
            started.append((broker, pool))
            stack.callback(worker.stop)
            if ready:
                worker.wait_until_ready()
            return worker

        yield start_worker
        stack.close()
        for broker, pool in started:
            with app.connection_for_write(broker) as connection:
                app.queue_table[served(broker, pool)].queue.bind(connection.default_channel).purge()


def send(broker, key, value, pool=Pool.PREFORK, **options):
    return app.send_task("delay.tell", (key, value), queue=served(broker, pool), **options)


@pytest.mark.parametrize("broker", BROKERS)
def test_each_runs_when_it_is_due_and_not_before(start, key, broker):
    start(broker)
    sent = {}
    for number in random.Random(4).sample(range(8), 8):
        seconds = 5 + 0.3 * number
        when = {"countdown": seconds} if number % 2 else {"eta": datetime.now(UTC) + timedelta(seconds=seconds)}
        sent[send(broker, key, number, **when).id] = number
    with state() as client:  # whoever is slow to send them may change their order
        due = [sent[entry.decode().partition("/")[0]] for entry in client.zrange(f"fleet.delayed.{broker}", 0, -1)]
    assert sorted(due) == list(range(8)), "the machine was too slow to tell"
    ran = wait_for(lambda: (told := delaying.told(key)) and len(told) == 8 and told, "all to run")
    assert [value for value, _, _ in ran] == due
    for _, started, eta in ran:
        assert started > datetime.fromisoformat(eta).timestamp() - 0.01
    wait_for(lambda: waiting() == 0, "the last one to be noted as moved")


@pytest.mark.parametrize("broker", BROKERS)
def test_three_movers_publish_each_once(brokers, broker):
    look = ParkedMessages(app)
    due = datetime.now(UTC) + timedelta(seconds=2)
    sent = {app.send_task("try.note", ("x",), queue=parked(broker), eta=due).id for _ in range(400)}
    with moving(), moving(), moving():
        wait_for(lambda: set(look.look()) >= sent, "all to arrive")  # fails where one arrives twice
        wait_for(lambda: waiting() == 0, "the table to be empty")
    assert set(look.look()) == sent


@pytest.mark.parametrize("broker", BROKERS)
def test_what_was_due_while_no_worker_lived_runs_at_once(start, key, broker):
    for number in range(3):
        send(broker, key, number, countdown=0.2)
    with state() as client:
        wait_for(lambda: client.zcount(f"fleet.delayed.{broker}", 0, time.time()) == 3, "all to be due")
    worker = start(broker)
    ran = wait_for(lambda: (told := delaying.told(key)) and len(told) == 3 and told, "all to run")
    assert {value for value, _, _ in ran} == {0, 1, 2}
    assert "ETA" not in worker.output


@pytest.mark.parametrize("broker", BROKERS)
def test_a_message_is_the_same_as_without_delay(brokers, broker):
    look = ParkedMessages(app)
    options = {
        "queue": parked(broker), "priority": 7, "expires": 3600, "time_limit": 60, "soft_time_limit": 50, "retries": 2,
        "shadow": "other", "link": tasks.note.s(), "headers": {"own": "header"}, "stamped_headers": ["stamp"],
        "stamp": "value", "compression": "zlib",
    }  # fmt: skip
    at_once, later = (app.send_task("try.note", ("ä",), **options, countdown=wait) for wait in (None, 0.3))
    with moving():
        plain, moved = look.headers_of(at_once.id), look.headers_of(later.id)
    assert moved["waited_for"] == moved["eta"]
    assert moved["priority"] == 7
    own = {"id", "root_id", "eta", "expires", "published_at", "waited_for"}
    assert {name: moved[name] for name in moved.keys() - own} == {name: plain[name] for name in plain.keys() - own}
    assert moved["compression"] == "application/x-gzip"


@pytest.mark.parametrize(("broker", "pool"), WORKERS)
def test_a_retry_waits_outside_the_worker(start, key, broker, pool):
    start(broker, pool)
    result = app.send_task("delay.retry", (key, 5), queue=served(broker, pool))
    wait_for(lambda: waiting() == 1, "the retry to be stored")
    send(broker, key, "meanwhile", pool)
    eta = result.get(timeout=30)
    (_, first, _), (between, _, _), (_, second, _) = delaying.told(key)
    assert between == "meanwhile"
    assert second >= datetime.fromisoformat(eta).timestamp() - 0.01 > first + 4.9


BLIND = {"YARD_STATE_URL": f"redis://{NOBODY_LISTENS}/0"}


@pytest.mark.parametrize(("broker", "pool"), WORKERS)
def test_a_retry_that_cannot_be_stored_waits_in_a_worker(start, key, broker, pool):
    result = app.send_task("delay.retry", (key, 2), queue=served(broker, pool))
    start(broker, pool, variables=BLIND)
    eta = result.get(timeout=60)
    (retries, first, _), (retries_again, second, _) = delaying.told(key)
    assert (retries, retries_again) == (0, 1)
    assert second >= datetime.fromisoformat(eta).timestamp() - 0.01 > first + 1.9


@TWO_BROKERS
def test_a_retry_that_was_stored_although_nobody_said_so_runs_once_on_redis(start, brokers, key, broker):
    """Shared state stands still while the retry is stored, and takes it when it goes on."""
    url = brokers["YARD_STATE_URL"]
    with proxy_to(urlsplit(url).port) as proxy:
        behind = {"YARD_STATE_URL": url.replace(f":{urlsplit(url).port}", f":{proxy.port}")}
        worker = start(broker, variables=behind)
        send(broker, key, "the script is there", countdown=0.1).get(timeout=30)
        result = app.send_task("delay.retry_after_a_sign", (key, 6), queue=served(broker, Pool.PREFORK))
        wait_for(lambda: len(delaying.told(key)) == 2, "the first execution")
        proxy.freeze()
        delaying.give_sign(key)
        retried = f"Task delay.retry_after_a_sign[{result.id}] retry: "
        wait_for(lambda: retried in worker.output, "the retry to be published")
        proxy.thaw()
        wait_for(lambda: waiting() == 1, "the table to have it, too")
        assert result.get(timeout=60)
        wait_for(lambda: waiting() == 0, "it to be moved")
        inspect = app.control.inspect([f"{worker.log.name}@test"], timeout=1)
        wait_for(lambda: inspect.active() and not any(inspect.active().values()), "the worker to be idle")
    executions = [value for value, _, _ in delaying.told(key)][1:]
    assert executions == [0, 1] if broker != "batch" else executions in ([0, 1], [0, 1, 1])


def test_a_retry_that_nobody_takes_goes_back_after_a_pause(start, key):
    where = served("critical", Pool.PREFORK)
    result = app.send_task("delay.retry", (key, 0.1, where), queue=served("default", Pool.PREFORK))
    gone = {**BLIND, "YARD_BROKER_CRITICAL_URL": f"redis://{NOBODY_LISTENS}/0"}
    blind = start("default", variables=gone)
    wait_for(lambda: len(delaying.told(key)) >= 3, "the task to be tried again", 60)
    blind.stop()
    began = [started for _, started, _ in delaying.told(key)]
    assert all(later - earlier >= PAUSE_SECONDS for earlier, later in pairwise(began))
    start("default")
    start("critical")
    assert result.get(timeout=60)


def test_one_that_was_given_back_while_shared_state_was_gone_is_no_suspect(start, brokers, key):
    url, queue = brokers["YARD_STATE_URL"], served("default", Pool.THREADS)
    with proxy_to(urlsplit(url).port) as proxy:
        worker = start(
            "default",
            Pool.THREADS,
            variables={"YARD_STATE_URL": url.replace(f":{urlsplit(url).port}", f":{proxy.port}")},
        )
        proxy.refuse()
        given_back = app.send_task("delay.give_back", (key,), queue=queue)
        app.send_task("delay.wait_for_sign", (key,), queue=queue)
        wait_for(lambda: delaying.told(key), "the other task, which comes before the one that went back")
        proxy.accept()
        time.sleep(BLIND_SECONDS)  # then the worker asks shared state again
        delaying.give_sign(key)
        assert given_back.get(timeout=30) is True
        assert f"Deaths of tasks are not counted for {BLIND_SECONDS:g} s" in worker.output
        assert "runs alone" not in worker.output


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # Celery stores results with it
@pytest.mark.parametrize("broker", BROKERS)
def test_revoke_takes_it_out(brokers, broker):
    result, other = (app.send_task("try.note", (1,), queue=parked(broker), countdown=3600) for _ in range(2))
    result.revoke()
    with pytest.raises(TaskRevokedError):
        result.get(timeout=10)
    assert [each["request"]["id"] for each in app.control.inspect(timeout=0.5).scheduled()[NODE]] == [other.id]
    replies = app.control.broadcast("revoke", {"task_id": [other.id, "unknown"]}, reply=True, timeout=0.5)
    assert replies == [{NODE: {"ok": f"tasks {other.id} revoked before they were due"}}]
    assert waiting() == 0


def stamped(broker, **stamps):
    options = {"stamped_headers": list(stamps), **stamps}
    return app.send_task("try.note", (1,), queue=parked(broker), countdown=3600, **options)


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
def test_revoke_by_stamps_takes_out_what_bears_them(brokers):
    one, several = stamped("batch", campaign="spring"), stamped("default", campaign=["spring", "summer"], own=1)
    others = {stamped("default", campaign="autumn").id, stamped("default", own="spring").id}
    others.add(app.send_task("try.note", (1,), queue=parked("default"), countdown=3600).id)
    elsewhere = stamped("critical", campaign="winter")

    def left():
        return {each["request"]["id"] for each in app.control.inspect(timeout=0.5).scheduled()[NODE]}

    with app.on_broker("batch"):
        app.control.revoke_by_stamped_headers({"campaign": "winter"})
    assert left() == {one.id, several.id, elsewhere.id, *others}
    app.control.revoke_by_stamped_headers({"campaign": ["spring", "winter"], "unknown": "spring"})
    assert left() == others
    for result in (one, several, elsewhere):
        with pytest.raises(TaskRevokedError):
            result.get(timeout=10)
    replies = app.control.broadcast(
        "revoke_by_stamped_headers", {"headers": ["campaign=autumn"]}, reply=True, timeout=0.5
    )
    assert [list(reply) for reply in replies] == [[NODE]]
    assert len(left()) == len(others) - 1
    with state() as client:
        assert client.hlen("fleet.delayed.stamps") == 1


def test_a_purge_empties_queues_and_leaves_what_waits_for_its_time(brokers, start, key):
    """As with stock Celery, whose workers hold such tasks already; revoke takes them out."""
    queue = served("default", Pool.PREFORK)
    late = send("default", key, "late", countdown=3)
    send("default", key, "at once")
    purge = [sys.executable, "-m", "celery", "-A", APP, "purge", "-f", "-Q", queue]
    printed = subprocess.run(purge, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Purged 1 message" in printed
    assert waiting() == 1
    start("default")
    late.get(timeout=30)
    assert [value for value, _, _ in delaying.told(key)] == ["late"]


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
def test_a_chord_hears_of_a_revoked_member(start):
    worker_queue = served("default", Pool.PREFORK)
    start("default")
    waits = tasks.echo.si(2).set(queue=worker_queue, countdown=3600)
    body = chord([tasks.echo.si(1).set(queue=worker_queue), waits])(tasks.echo.s().set(queue=worker_queue))
    wait_for(lambda: waiting() == 1, "the member to be stored")
    body.parent.results[0].get(timeout=30)
    body.parent.results[1].revoke()
    with pytest.raises(ChordError):
        app.AsyncResult(body.id).get(timeout=30)


def test_inspect_lists_what_waits(brokers):
    due = datetime.now(UTC) + timedelta(hours=1)
    ids: dict[str, str] = {
        alias: app.send_task("try.note", ("x",), queue=parked(alias), eta=due, priority=3).id for alias in BROKERS
    }
    listed = app.control.inspect(timeout=0.5).scheduled()[NODE]
    assert {each["request"]["id"] for each in listed} == set(ids.values())
    (one,) = [each for each in listed if each["request"]["id"] == ids["batch"]]
    assert datetime.fromisoformat(one["eta"]) == due
    assert one["priority"] == 3
    assert one["request"]["name"] == one["request"]["type"] == "try.note"
    assert (one["request"]["args"], one["request"]["kwargs"]) == (["x"], {})
    assert one["request"]["delivery_info"]["routing_key"] == parked("batch")
    with app.on_broker("critical"):
        (alone,) = app.control.inspect([NODE], timeout=0.5).scheduled()[NODE]
    assert alone["request"]["id"] == ids["critical"]
    printed = subprocess.run(
        [sys.executable, "-m", "celery", "-A", APP, "inspect", "scheduled", "-t", "0.5"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert NODE in printed
    assert all(task_id in printed for task_id in ids.values())


def test_what_waits_is_counted_by_queue(brokers):
    for _ in range(3):
        app.send_task("try.note", (1,), queue=parked("batch"), countdown=3600)
    (family,) = DelayedCollector(app.routing.owners, app.delays.by_queue).collect()
    counted = {(sample.labels["queue_name"], sample.labels["broker"]): sample.value for sample in family.samples}
    assert counted.pop((parked("batch"), "batch")) == 3
    assert set(counted.values()) == {0}
    silent = DelayTable(State(SecretStr(f"redis://{NOBODY_LISTENS}/0")))
    assert not list(DelayedCollector(app.routing.owners, silent.by_queue).collect())


def test_a_hundred_thousand_that_wait_are_no_burden_to_a_worker(start, key):
    many = 100_000
    send("default", key, 0, countdown=3600)
    [(raw, _)] = app.delays.first(["default"], 1)
    store_many(Entry.decode(raw), many)
    worker = start("default")
    assert waiting() == many + 1
    for number in range(100):
        send("default", key, number)
    wait_for(lambda: len(delaying.told(key)) == 100, "ordinary tasks to run")
    parent = psutil.Process(worker.process.pid)
    megabytes = max(process.memory_info().rss / 1e6 for process in (parent, *parent.children()))
    print(f"{many:,} delayed tasks: at most {megabytes:.0f} MB in a process of the worker")
    assert megabytes < 150
    assert not any((app.control.inspect([f"{worker.log.name}@test"], timeout=1).scheduled() or {}).values())


@pytest.mark.parametrize("broker", BROKERS)
def test_a_mover_killed_between_publishing_and_noting_it_loses_nothing(brokers, broker):
    """On Redis nothing is published twice either; on RabbitMQ the one message of that moment is."""
    due = datetime.now(UTC) + timedelta(seconds=1)
    with app.connection_for_write(broker) as connection:
        app.queue_table[parked(broker)].queue.bind(connection.default_channel).declare()
    sent = [app.send_task("try.note", (1,), queue=parked(broker), eta=due).id for _ in range(150)]
    killed = subprocess.run([sys.executable, "-m", APP, "40"], cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with moving():
        wait_for(lambda: waiting() == 0, "the claims of the dead mover to run out, and the rest to be moved")
    found = Counter(headers["id"] for headers in messages(app.brokers[broker], parked(broker)))
    assert set(found) == set(sent)
    twice = sum(found.values()) - len(sent)
    assert twice == (1 if broker == "batch" else 0)


@TWO_BROKERS
def test_workers_killed_while_five_hundred_come_due(start, key, broker):
    """The victims serve another queue, so what they die of is moving alone."""
    others = [start(BROKERS[1], ready=False) for _ in range(2)]
    survivor = start(broker)
    for other in others:
        other.wait_until_ready()
    due = datetime.now(UTC) + timedelta(seconds=4)
    for number in range(500):
        send(broker, key, number, eta=due)
    wait_for(lambda: waiting() < 490, "some to be moved")
    others[0].kill()
    wait_for(lambda: waiting() < 300, "more to be moved")
    others[1].kill()
    wait_for(lambda: len({value for value, _, _ in delaying.told(key)}) == 500, "all to run", 60)
    wait_for(lambda: waiting() == 0, "the table to be empty")
    with app.on_broker(broker):
        inspect = app.control.inspect([f"{survivor.log.name}@test"], timeout=1)
        wait_for(lambda: inspect.active() and not any(inspect.active().values()), "the worker to be idle")
    twice = len(delaying.told(key)) - 500
    print(f"{broker}: {twice} of 500 ran twice")
    assert twice <= (len(others) if broker == "batch" else 0)


@TWO_BROKERS
def test_movers_outlive_shared_state_that_stands_still(brokers, broker):
    look = ParkedMessages(app)
    sent = {app.send_task("try.note", (1,), queue=parked(broker), countdown=1.5).id for _ in range(50)}
    with moving(), moving():
        with state() as client:
            client.client_pause(6000)  # longer than a mover waits for an answer
        with redis.Redis.from_url(load_settings().state_url.get_secret_value(), socket_timeout=None) as client:
            client.ping()  # answers when that is over
        wait_for(lambda: set(look.look()) >= sent, "all to arrive")
        wait_for(lambda: waiting() == 0, "the table to be empty")
    assert set(look.look()) == sent


def test_monitors_are_told_when_a_delayed_task_is_accepted(brokers, fleet_of_tests):
    fleet_of_tests.conf.task_send_sent_event = True
    seen: list[dict] = []
    with fleet_of_tests.connection_for_read("default") as connection:
        receiver = fleet_of_tests.events.Receiver(connection, handlers={"task-sent": seen.append})
        with receiver.consumer_context(wakeup=False) as (listening, _, _):
            drained(listening)  # subscribes
            sent = fleet_of_tests.send_task("try.note", (1,), queue=parked("default"), countdown=3600)
            wait_for(lambda: drained(listening) and seen, "the event")
    assert [event["uuid"] for event in seen] == [sent.id]
    assert seen[0]["eta"]
    assert waiting() == 1


def drained(connection) -> bool:
    with suppress(TimeoutError):
        connection.drain_events(timeout=1)
    return True


def test_a_broker_that_is_down_holds_up_no_other(brokers):
    look = ParkedMessages(app)
    with fleet_without("default") as half:
        held, moved = (
            half.send_task("try.parked_default", (1,), queue=parked(alias), countdown=0.2)
            for alias in ("default", "critical")
        )
        with moving(half):
            assert look.broker_of(moved.id) == "critical"
            assert waiting() == 1
    with moving():
        assert look.broker_of(held.id) == "default"


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "silent"])
def test_without_shared_state_a_countdown_is_refused_in_time(brokers, silent):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        where = f"127.0.0.1:{server.getsockname()[1]}" if silent else NOBODY_LISTENS
        with FleetCelery(
            "try", brokers=switchyard_brokers, queues=QUEUES, state=SecretStr(f"redis://{where}/0")
        ) as blind:
            blind.task(name="try.any")(tasks.echo.run)
            began = time.monotonic()
            with pytest.raises(OperationalError, match="Shared state") as raised:
                blind.send_task("try.any", queue=parked("default"), countdown=60)
            assert time.monotonic() - began < 5
    assert isinstance(raised.value, FleetError)


def test_a_fleet_without_shared_state_leaves_the_delay_to_the_worker(brokers):
    look = ParkedMessages(app)
    with FleetCelery("try", brokers=switchyard_brokers, queues=QUEUES) as stock:
        stock.task(name="try.any")(tasks.echo.run)
        result = stock.send_task("try.any", queue=parked("default"), countdown=3600)
    headers = look.headers_of(result.id)
    assert datetime.fromisoformat(headers["eta"]) > datetime.now(UTC) + timedelta(minutes=59)
    assert "waited_for" not in headers
