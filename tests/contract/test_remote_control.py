"""Remote control reaches the workers of every broker from any app of the fleet."""

from __future__ import annotations

import logging
import signal

import psutil
import pytest
from celery.exceptions import TaskRevokedError
from kombu.exceptions import OperationalError

from shared.brokers import Broker, Brokers, switchyard_brokers
from shared.celery_app import FleetCelery
from shared.queues import Pool
from shared.secret import SecretStr
from tests.fixtures.workers import one_worker_each
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, QUEUES, served

NODES: dict[str, str] = {broker: f"{broker}.control@test" for broker in BROKERS}
NOBODY_LISTENS = "127.0.0.1:9"


@pytest.fixture(scope="module")
def workers(brokers, tmp_path_factory):
    with one_worker_each(NODES, tmp_path_factory.mktemp("workers")):
        yield


def test_replies_of_all_brokers_are_merged(workers):
    replies = app.control.ping(timeout=5, limit=1)
    assert {node for reply in replies for node in reply} == set(NODES.values())
    assert set(app.control.inspect(timeout=3).active_queues()) == set(NODES.values())


def test_a_worker_tells_how_much_memory_it_has_with_its_pool(workers):
    for told in app.control.inspect(timeout=3).stats().values():
        processes = {told["pid"], *told["pool"]["processes"]}
        assert len(processes) == 2
        found = sum(psutil.Process(pid).memory_full_info().pss for pid in processes)
        assert told["memory_kib"] == pytest.approx(found / 1024, rel=0.3)


def test_the_garbage_collector_of_a_child_leaves_alone_what_was_there_before(workers):
    """It writes to whatever it looks at, and then no page is shared with the parent."""
    for broker in BROKERS:
        frozen = app.send_task("try.frozen", queue=served(broker, Pool.PREFORK)).get(timeout=20)
        assert frozen > 50_000


def test_a_child_ends_with_its_parent_and_needs_no_parser_of_c_for_that(workers):
    """Celery has cffi parse C for it in each child where cffi is installed, as it is here: 3.4 MB, which none share."""
    queue = served("default", Pool.PREFORK)
    assert app.send_task("try.death_signal", queue=queue).get(timeout=20) == signal.SIGKILL
    assert app.send_task("try.imported", ("cffi",), queue=queue).get(timeout=20), "or the next line says nothing"
    assert not app.send_task("try.imported", ("pycparser",), queue=queue).get(timeout=20)


def test_when_everyone_who_was_named_has_replied_no_more_is_waited_for(workers):
    """Each broker has one of the nodes, and none hears of the others' replies."""
    told: list[dict] = []
    inspect = app.control.inspect(list(NODES.values()), timeout=100, callback=told.append)
    assert inspect.ping() == {node: {"ok": "pong"} for node in NODES.values()}
    assert {node for reply in told for node in reply} == set(NODES.values())
    one = app.control.ping(destination=[NODES["batch"]], timeout=100)
    assert one == [{NODES["batch"]: {"ok": "pong"}}]


def test_who_does_not_reply_is_waited_for_no_longer_than_asked(workers):
    nodes = [*NODES.values(), "nobody@test"]
    assert set(app.control.inspect(nodes, timeout=3).ping()) == set(NODES.values())


def test_one_broker_alone_can_be_asked(workers):
    with app.on_broker("batch"):
        assert app.control.ping(timeout=5, limit=1) == [{NODES["batch"]: {"ok": "pong"}}]
    with app.connection_for_write("critical") as connection:
        assert app.control.ping(timeout=5, limit=1, connection=connection) == [{NODES["critical"]: {"ok": "pong"}}]


@pytest.mark.parametrize("broker", BROKERS)
def test_revoke_reaches_what_runs_and_what_waits_on_any_broker(workers, broker):
    running, waiting = (app.send_task("try.sleep", (3600,), queue=served(broker, Pool.PREFORK)) for _ in range(2))
    inspect = app.control.inspect([NODES[broker]], timeout=1)
    wait_for(lambda: any((inspect.active() or {}).values()), "a task to run")
    waiting.revoke()
    running.revoke(terminate=True)
    for result in (running, waiting):
        with pytest.raises(TaskRevokedError):
            result.get(timeout=30)


def fleet_without(*lost: str) -> FleetCelery:
    """The fleet of the tests, some of whose brokers are not there."""

    def brokers() -> Brokers:
        there = switchyard_brokers()
        gone = {alias: SecretStr(f"{there[alias].kind}://{NOBODY_LISTENS}/{n}") for n, alias in enumerate(lost)}
        return Brokers([Broker(alias, gone.get(alias, broker.url)) for alias, broker in there.items()])

    return FleetCelery("try", brokers=brokers, queues=QUEUES, home="default")


def test_a_broker_out_of_reach_does_not_keep_the_others_from_being_told(workers, caplog):
    with fleet_without("critical", "batch") as half, caplog.at_level(logging.WARNING, logger="shared.control"):
        assert half.control.ping(timeout=5, limit=1) == [{NODES["default"]: {"ok": "pong"}}]
    assert {"Broker critical", "Broker batch"} <= {" ".join(r.getMessage().split()[:2]) for r in caplog.records}


def test_a_command_that_reaches_no_broker_is_an_error(brokers):
    with fleet_without(*BROKERS) as nowhere, pytest.raises(OperationalError, match="out of reach"):
        nowhere.control.revoke("some-task")
