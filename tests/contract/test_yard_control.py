"""``yard inspect``, ``control`` and ``events`` reach the workers of every broker, and say which broker they did not."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from services.core.cli import exit_codes
from shared.queues import Pool
from shared.settings import child_environment
from tests.fixtures.workers import ROOT, WorkerProcess, one_worker_each
from tests.fixtures.yard import YARD, yard
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, served

pytestmark = pytest.mark.concept("remote control")

NODES: dict[str, str] = {broker: f"{broker}.yard@test" for broker in BROKERS}
NOBODY_LISTENS = {"YARD_BROKER_CRITICAL_URL": "redis://:hidden@127.0.0.1:9/1"}


@pytest.fixture(scope="module", autouse=True)
def _workers(brokers, tmp_path_factory):
    with one_worker_each(NODES, tmp_path_factory.mktemp("workers")):
        yield


def answers(*arguments, expect: int = exit_codes.OK, **options) -> dict[str, dict]:
    """What each worker answered, by its node, of all brokers."""
    told = json.loads(yard(*arguments, "--json", "-t2", expect=expect, **options)[0])
    return {node: answer for broker in told["brokers"] for node, answer in broker["workers"].items()}


def all_run_something() -> bool:
    active = app.control.inspect(timeout=1).active() or {}
    return all(active.get(node) for node in NODES.values())


def test_each_worker_is_shown_with_its_broker():
    told = json.loads(yard("inspect", "ping", "--json")[0])
    assert {each["broker"]: list(each["workers"]) for each in told["brokers"]} == {
        broker: [node] for broker, node in NODES.items()
    }
    lines = yard("inspect", "ping")[0].splitlines()
    assert {tuple(line.split()) for line in lines[1:]} == {(node, broker, "pong") for broker, node in NODES.items()}


def test_what_runs_and_what_waits_is_listed_over_all_brokers():
    running = [app.send_task("try.sleep", (3600,), queue=served(broker, Pool.PREFORK)) for broker in BROKERS]
    later = app.send_task("try.sleep", (0,), queue=served("batch", Pool.PREFORK), countdown=3600)
    try:
        wait_for(all_run_something, "a task to run on each broker")
        table = [line.split()[:4] for line in yard("inspect", "active", "-t2")[0].splitlines()[1:]]
        assert table == [
            [NODES[broker], broker, "try.sleep", result.id] for broker, result in zip(BROKERS, running, strict=True)
        ]
        assert [each["request"]["id"] for each in answers("inspect", "scheduled")["delayed@fleet"]] == [later.id]
        queried = answers("inspect", "query_task", running[0].id, running[2].id)
        assert [list(queried[NODES[broker]]) for broker in BROKERS] == [[running[0].id], [], [running[2].id]]
    finally:
        yard("control", "terminate", "KILL", *(result.id for result in running), later.id)
    wait_for(lambda: {result.state for result in (*running, later)} == {"REVOKED"}, "all to be revoked")


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("active_queues",), "try.batch.prefork"),
        (("registered",), "try.sleep"),
        (("reserved",), "–"),
        (("revoked",), "id"),
        (("stats",), '"uptime"'),
        (("report",), "software -> celery:5.7"),
        (("conf", "yes"), "task_acks_late"),
        (("clock",), "answer"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_question_of_celery_can_be_asked(command, shown):
    text, _ = yard("inspect", *command, "-t2")
    assert shown in text
    for broker, node in NODES.items():
        assert any(node in line and broker in line for line in text.splitlines())


def test_workers_of_all_brokers_are_told():
    told = answers("control", "rate_limit", "try.echo", "10/m")
    assert told == {node: {"ok": "new rate limit set successfully"} for node in NODES.values()}
    known = answers("inspect", "registered", "rate_limit")
    assert all("try.echo [rate_limit=10/m]" in known[node] for node in NODES.values())
    yard("control", "rate_limit", "try.echo", "0")
    grown = answers("control", "pool_grow", 1, "-d", NODES["batch"])
    assert grown == {NODES["batch"]: {"ok": "pool will grow"}}
    wait_for(lambda: len(answers("inspect", "stats")[NODES["batch"]]["pool"]["processes"]) == 2, "another process")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("control", "autoscale", "3", "1"), exit_codes.FAILED, ""),
        (("inspect", "ping", "-d", "nobody@test", "-d", NODES["batch"]), exit_codes.FAILED, "from nobody@test"),
        (("inspect", "ping", "-d", "nobody@test"), exit_codes.OUT_OF_REACH, "from nobody@test"),
        (("inspect", "actve"), exit_codes.REFUSED, "Did you mean 'active'?"),
        (("inspect", "shutdown"), exit_codes.REFUSED, "has no command 'shutdown'"),
        (("inspect", "ping", "twice"), exit_codes.REFUSED, "'twice' is one word too many"),
        (("control", "autoscale", "many"), exit_codes.REFUSED, "[max [min]]"),
        (("control", "add_consumer", "email.bulkk"), exit_codes.REFUSED, "Did you mean 'email.bulk'?"),
        (("inspect", "ping", "-b", "bacth"), exit_codes.REFUSED, "Did you mean 'batch'?"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_what_was_not_done_shows_in_the_exit_code(arguments, code, complaint):
    text, complaints = yard(*arguments, expect=code)
    assert complaint in complaints
    assert ("Autoscale not enabled" in text) == (arguments[1:3] == ("autoscale", "3"))


def test_a_broker_out_of_reach_is_named_and_the_others_answer():
    found = answers("inspect", "ping", expect=exit_codes.OUT_OF_REACH, variables=NOBODY_LISTENS)
    assert set(found) == {NODES["default"], NODES["batch"]}
    _, complaints = yard("inspect", "ping", expect=exit_codes.OUT_OF_REACH, variables=NOBODY_LISTENS)
    assert "critical (redis://:**@127.0.0.1:9/1) was not asked" in complaints
    yard("inspect", "ping", "-b", "batch", variables=NOBODY_LISTENS)


def test_events_of_all_brokers_come_as_one_stream(tmp_path):
    yard("control", "enable_events")
    told = tmp_path / "events"
    with told.open("w") as output, subprocess.Popen(
        [*YARD, "events", "--json", "--type", "task-succeeded"], cwd=ROOT, stdout=output, env=child_environment()
    ) as stream:  # fmt: skip
        try:
            wait_for(lambda: sources_of_a_task_on_each(told) == NODES, "a task of each broker")
        finally:
            stream.send_signal(signal.SIGINT)
            stream.wait(10)
    assert stream.returncode == exit_codes.INTERRUPTED


def sources_of_a_task_on_each(told) -> dict[str, str]:
    """Run a task on each broker; return which workers were heard of by then, by broker."""
    for broker in BROKERS:
        app.send_task("try.echo", ("seen",), queue=served(broker, Pool.PREFORK)).get(timeout=20)
    events = [json.loads(line) for line in told.read_text().splitlines(keepends=True) if line.endswith("\n")]
    assert {event["type"] for event in events} <= {"task-succeeded"}
    return {event["broker"]: event["hostname"] for event in events}


def test_events_tell_of_a_broker_that_is_lost():
    text, complaints = yard("events", "--for", 3, expect=exit_codes.OUT_OF_REACH, variables=NOBODY_LISTENS)
    assert "critical (redis://:**@127.0.0.1:9/1) is out of reach" in complaints
    assert {line.split()[2] for line in text.splitlines()} == {"default", "batch"}


def test_one_worker_is_shut_down(tmp_path):
    node = "leaving@test"
    leaving = WorkerProcess("tests.fleet.app", f"-Q{served('batch', Pool.PREFORK)}", f"-n{node}", log=tmp_path / "log")
    try:
        told = answers("control", "shutdown", "-d", node)
        assert told == {node: {"ok": "stops when what runs is done"}}
        leaving.process.wait(30)
    finally:
        leaving.stop()
    assert set(answers("inspect", "ping")) == set(NODES.values())
