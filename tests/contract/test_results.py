"""Results of real workers in real stores: Redis, PostgreSQL, memcached and SQLite, from each pool and each broker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Event

import pytest
from celery import chain, chord, group
from celery.exceptions import TimeoutError  # noqa: A004 - the one that get() raises
from kombu.exceptions import DecodeError
from pymemcache.client.base import Client

from shared.bulk import bulk
from shared.bulk_producers import MOST_MESSAGES
from shared.names import BrokerName
from shared.queues import Pool
from tests.fixtures.stores import CREW, SOLO
from tests.fleet.inspection import wait_for
from tests.fleet.storing import fleet

pytestmark = pytest.mark.concept("result store")

EACH_WORKER = pytest.mark.parametrize(("target", "pool"), [*CREW, SOLO], ids=["-".join(each) for each in (*CREW, SOLO)])
EACH_BROKER = pytest.mark.parametrize(("target", "pool"), CREW, ids=["-".join(each) for each in CREW])
SECONDS = 30


def only(name: str) -> pytest.MarkDecorator:
    """Run a test on one of the stores alone."""
    return pytest.mark.parametrize("store", [name], indirect=True, scope="module")


@EACH_WORKER
def test_a_result_its_state_and_who_asks_again(store, target, pool):
    result = store.send("add", 2, 3, target=target, pool=pool)
    assert result.get(timeout=SECONDS) == 5
    asked = store.app.AsyncResult(result.id)
    assert (asked.state, asked.result, asked.ready(), asked.successful()) == ("SUCCESS", 5, True, True)
    assert asked.date_done is not None


@EACH_WORKER
def test_a_failure_comes_with_its_type_and_its_traceback(store, target, pool):
    result = store.send("fail", target=target, pool=pool)
    with pytest.raises(ValueError, match="as asked"):
        result.get(timeout=SECONDS)
    asked = store.app.AsyncResult(result.id)
    assert asked.state == "FAILURE"
    assert isinstance(asked.result, ValueError)
    assert 'raise ValueError("as asked")' in asked.traceback


def test_what_nobody_knows_is_pending_and_does_not_exist(store):
    asked = store.app.AsyncResult("nobody-knows-this")
    assert (asked.state, asked.exists(), asked.result) == ("PENDING", False, None)
    with pytest.raises(TimeoutError):
        asked.get(timeout=0.2)


def test_a_forgotten_result_is_gone(store):
    result = store.send("echo", "gone")
    assert result.get(timeout=SECONDS) == "gone"
    result.forget()
    assert not store.app.AsyncResult(result.id).exists()


def test_a_group_over_all_brokers(store):
    members = [store.sig("add", n, 10, target=target, pool=pool) for n, (target, pool) in enumerate(CREW)]
    result = group(members).apply_async()
    assert result.get(timeout=SECONDS) == [10, 11, 12]
    result.save()
    restored = store.app.GroupResult.restore(result.id)
    assert restored.get(timeout=SECONDS) == [10, 11, 12]
    assert restored.completed_count() == 3


def test_a_group_of_more_than_go_out_at_once(store):
    result = group(store.sig("add", n, 10) for n in range(MOST_MESSAGES + 10)).apply_async()
    assert result.get(timeout=SECONDS) == [n + 10 for n in range(MOST_MESSAGES + 10)]


@only("redis")
@pytest.mark.parametrize(
    ("before", "state"),
    [
        (b'{"status": "SUCCESS", "result": 1}', "SUCCESS"),
        (b'{"result": 1, "status": "SUCCESS"}', "SUCCESS"),  # as others may write it
        (b'{"status": "STARTED", "result": {"status": "SUCCESS"}}', "FAILURE"),
        (b'{"status": "FAILURE", "result": null}', "FAILURE"),
        (b"[1]", "FAILURE"),
        (b"rubbish", "FAILURE"),
    ],
)
def test_the_result_of_a_task_that_has_succeeded_stays(store, before, state):
    backend = store.app.backend
    backend.client.set(backend.get_key_for_task("again"), before)
    backend.store_result("again", ValueError("late"), "FAILURE")
    assert store.app.AsyncResult("again").state == state
    backend.forget("again")


def commands(store, name):
    return store.app.backend.client.info("commandstats").get(f"cmdstat_{name}", {"calls": 0})["calls"]


@only("redis")
def test_the_results_of_a_group_are_listened_for_when_somebody_waits_and_let_go_together(store):
    """A command for each would take as long as publishing did."""
    number, before = 3 * MOST_MESSAGES, {name: commands(store, name) for name in ("subscribe", "unsubscribe")}
    result = group(store.sig("add", n, 10) for n in range(number)).apply_async()
    assert commands(store, "subscribe") == before["subscribe"]
    assert len(result.get(timeout=SECONDS)) == number
    calls = {name: commands(store, name) - times for name, times in before.items()}
    print(f"{calls} for {number} results")
    assert 1 <= calls["subscribe"] <= 3
    assert calls["unsubscribe"] < number / 2, "twenty a second at most, for as long as the workers take"


@only("redis")
def test_who_publishes_and_never_gets_keeps_no_entry_for_a_result(store):
    entries = sum(map(len, store.app.backend._pending_results))
    members = [store.sig("add", n, 10) for n in range(20)]
    kept = [group(members).apply_async(), chord(members, store.sig("echo")).apply_async(), store.send("echo", 1)]
    assert sum(map(len, store.app.backend._pending_results)) == entries
    assert [each.get(timeout=SECONDS) for each in kept] == [list(range(10, 30)), list(range(10, 30)), 1]
    assert kept[1].parent.get(timeout=SECONDS) == list(range(10, 30))


@only("redis")
@pytest.mark.parametrize("nested", [False, True])
def test_a_callback_of_a_group_is_called_when_all_its_members_are_there(store, nested):
    members = [store.sig("add", n, 10) for n in range(4)]
    published = group(group(members[:2]), *members[2:]) if nested else group(members)
    result, called = published.apply_async(), Event()
    result.then(lambda *_: called.set())
    assert not called.is_set()
    for each in result.results:
        each.get(timeout=SECONDS)
    assert called.wait(SECONDS)


@only("redis")
def test_a_result_that_joins_a_group_is_waited_for_with_the_others(store):
    result = group([store.sig("add", 1, 1), store.sig("add", 2, 2)]).apply_async()
    result.add(store.send("add", 3, 3))
    assert result.get(timeout=SECONDS) == [2, 4, 6]


@only("redis")
def test_a_callback_is_called_while_another_thread_waits(store):
    """Who waits already is at the socket, and what comes later is heard by it at once."""
    never, ended = store.app.AsyncResult("never"), Event()
    consumer = store.app.backend.result_consumer
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(never.get, timeout=SECONDS)
        wait_for(lambda: consumer.subscribed_to, "a listener")
        result = store.send("add", 2, 3)
        result.then(lambda _: ended.set())
        assert ended.wait(SECONDS)
        store.app.backend.store_result(never.id, "after all", "SUCCESS")
        assert waiting.result() == "after all"
    never.forget()


@only("redis")
def test_a_group_costs_no_command_for_each_member_while_another_thread_waits(store):
    other, number = store.app.AsyncResult("other"), 2 * MOST_MESSAGES
    consumer = store.app.backend.result_consumer
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(other.get, timeout=SECONDS)
        wait_for(lambda: consumer.subscribed_to, "a listener")
        before = commands(store, "subscribe")
        result = group(store.sig("add", n, 10) for n in range(number)).apply_async()
        assert len(result.get(timeout=SECONDS)) == number
        store.app.backend.store_result(other.id, "after all", "SUCCESS")
        assert waiting.result() == "after all"
    calls = commands(store, "subscribe") - before
    print(f"{calls} commands for {number} results")
    assert calls < number / 10
    other.forget()


@only("redis")
def test_what_was_published_before_is_waited_for_inside_a_bulk(store):
    earlier, backend = store.app.AsyncResult("earlier"), store.app.backend

    def store_when_somebody_listens():
        key = backend.get_key_for_task(earlier.id)
        wait_for(lambda: key in backend.result_consumer.subscribed_to, "a listener")
        backend.store_result(earlier.id, "done", "SUCCESS")

    with ThreadPoolExecutor(1) as thread, bulk():
        stored = thread.submit(store_when_somebody_listens)
        inside = store.send("add", 2, 3)
        assert earlier.get(timeout=SECONDS) == "done"
        stored.result()
    assert inside.get(timeout=SECONDS) == 5
    earlier.forget()


def test_a_chain_over_all_brokers_and_its_parents(store):
    last = chain(
        store.sig("add", 1, 1, target=CREW[0][0], pool=CREW[0][1]),
        *(store.sig("add", 10, target=target, pool=pool) for target, pool in CREW[1:]),
    ).apply_async()
    assert last.get(timeout=SECONDS) == 22
    assert [last.parent.get(timeout=SECONDS), last.parent.parent.get(timeout=SECONDS)] == [12, 2]


@EACH_BROKER
def test_a_chord_whose_body_is_on_each_broker(store, target, pool):
    header = [store.sig("add", n, 10, target=broker, pool=of) for n, (broker, of) in enumerate(CREW)]
    body = store.sig("total", target=target, pool=pool)
    assert chord(header, body).apply_async().get(timeout=SECONDS) == 33


def test_a_chord_whose_body_is_a_group_over_brokers(store):
    header = [store.sig("add", n, 10, target=broker, pool=of) for n, (broker, of) in enumerate(CREW)]
    body = group(store.sig("total", target=target, pool=pool) for target, pool in CREW)
    assert chord(header, body).apply_async().get(timeout=SECONDS) == [33, 33, 33]


def test_a_chord_whose_body_names_no_queue(store):
    header = [store.sig("add", n, 10, target=broker, pool=of) for n, (broker, of) in enumerate(CREW)]
    assert chord(header, store.app.signature("store.total")).apply_async().get(timeout=SECONDS) == 33


@EACH_BROKER
def test_a_chord_fails_with_its_member(store, target, pool):
    header = [store.sig("add", 1, 1), store.sig("fail", target=target, pool=pool)]
    result = chord(header, store.sig("total", target=BrokerName.BATCH, pool=Pool.PREFORK)).apply_async()
    with pytest.raises(Exception, match="as asked"):
        result.get(timeout=SECONDS)


def test_a_hundred_members(store):
    header = [store.sig("echo", n, target=CREW[n % 3][0], pool=CREW[n % 3][1]) for n in range(100)]
    assert chord(header, store.sig("total")).apply_async().get(timeout=2 * SECONDS) == 4950


def test_a_result_vanishes_after_its_time(store):
    with fleet() as app:
        app.conf.result_expires = 1
        app.backend.store_result("short-lived", "here", "SUCCESS")
        assert app.AsyncResult("short-lived").get(timeout=SECONDS) == "here"

        def is_gone() -> bool:
            app.tasks["celery.backend_cleanup"]()
            return not app.AsyncResult("short-lived").exists()

        wait_for(is_gone, "the result to be gone")


def test_a_result_may_be_kept_for_ever(store):
    with fleet() as app:
        app.conf.result_expires = 0
        app.backend.store_result("kept", "here", "SUCCESS")
        app.tasks["celery.backend_cleanup"]()
        assert app.AsyncResult("kept").get(timeout=SECONDS) == "here"
        if store.name == "redis":
            assert app.backend.client.ttl(app.backend.get_key_for_task("kept")) == -1


@only("postgresql")
def test_what_is_no_json_is_never_unpickled(store):
    with fleet() as app:
        app.backend.store_result("pickled", "here", "SUCCESS")
        with app.backend.ResultSession() as session:
            row = session.query(app.backend.task_cls).filter_by(task_id="pickled").one()
            row.result = b"\x80\x04c__builtin__\nprint\n(Vrun\ntR."
            session.commit()
        with pytest.raises(DecodeError):
            _ = app.AsyncResult("pickled").result


@only("postgresql")
def test_many_that_come_at_once_to_an_empty_database_make_its_tables_together(store, postgres_server):
    with ExitStack() as stack:
        apps = [stack.enter_context(fleet()) for _ in range(6)]
        url = f"db+{postgres_server.new_database()}"
        for app in apps:
            app.conf.result_backend = url
        with ThreadPoolExecutor(len(apps)) as pool:
            list(pool.map(lambda n: apps[n].backend.store_result(f"first-{n}", n, "SUCCESS"), range(len(apps))))
        assert [apps[0].AsyncResult(f"first-{n}").result for n in range(len(apps))] == list(range(len(apps)))


@only("memcached")
@pytest.mark.parametrize(("target", "pool"), [CREW[0], CREW[2]], ids=["-".join(CREW[0]), "-".join(CREW[2])])
def test_threads_and_greenlets_share_connections(store, memcached, target, pool):
    with closing(Client(("127.0.0.1", memcached.port))) as asking:
        before = int(asking.stats()[b"total_connections"])
        results = [store.send("echo", n, target=target, pool=pool) for n in range(30)]
        assert [result.get(timeout=SECONDS) for result in results] == list(range(30))
        assert int(asking.stats()[b"total_connections"]) - before < 10
