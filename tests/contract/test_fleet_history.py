"""``yard recorder`` keeps what the workers of every broker tell, and ``yard tasks`` and ``workflows`` show it."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import Any

import pytest
from celery import chain, chord

from services.core.cli import exit_codes
from services.core.history.search import TaskFilter, search_tasks
from services.core.ledger.engine import open_ledger
from shared.queues import Pool
from shared.settings import child_environment, load_settings
from tests.fixtures.brokers import environment
from tests.fixtures.proxy import proxy_to
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fixtures.yard import YARD, yard
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, served

QUEUES: dict[str, str] = {broker: served(broker, Pool.PREFORK) for broker in BROKERS}


class RecorderProcess:
    def __init__(self, folder, name: str, variables: dict[str, str] | None = None) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*YARD, "recorder"], env=child_environment(variables), cwd=ROOT, stdout=output, stderr=output
            )

    @property
    def output(self) -> str:
        return str(self.log.read_text(errors="replace"))

    def wait_until_it_hears(self) -> None:
        """Redis has it among its subscribers a moment after it says so, hence the trial."""
        wait_for(lambda: all(self.hears(broker) for broker in BROKERS), "it to hear every broker")
        for queue in QUEUES.values():
            wait_for(partial(recorded, queue), "it to record")

    def hears(self, broker: str) -> int:
        return len(re.findall(rf"Events of broker {broker} .*are heard", self.output))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0, self.output


@pytest.fixture(scope="module")
def folder(brokers, tmp_path_factory):
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def home(folder):
    """A ledger for this module alone."""
    with environment({"YARD_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}"}):
        yard("migrate")
        yield folder


@pytest.fixture(scope="module", autouse=True)
def _workers(home, brokers):
    with ExitStack() as stack:
        started = []
        for broker, queue in QUEUES.items():
            options = (f"-Q{queue}", "-c2", "--pool=threads", f"-n{broker}@history", "--without-mingle")
            started.append(WorkerProcess("tests.fleet.told", *options, log=home / f"{broker}.log", ready=False))
            stack.callback(started[-1].stop)
        for worker in started:
            worker.wait_until_ready()
        yield


@pytest.fixture
def recorder(home):
    started = RecorderProcess(home, "recorder")
    started.wait_until_it_hears()
    yield started
    if started.process.poll() is None:
        started.stop()


@pytest.fixture(autouse=True)
def _told():
    app.conf.task_send_sent_event = True
    app.set_current()
    yield
    app.conf.task_send_sent_event = False


def recorded(queue: str) -> bool:
    """Whether a task comes into the history before long."""
    task_id = app.send_task("try.echo", (0,), queue=queue).id
    with suppress(AssertionError):
        return bool(wait_for(lambda: "succeeded" in states(task_id).values(), "it", 3))
    return False


def echo(broker: str, value: object):
    return app.signature("try.echo", (value,), queue=QUEUES[broker])


def shown(*arguments: object, **options) -> Any:
    return json.loads(yard(*arguments, "--json", **options)[0])


def states(task_id: str) -> dict[str, str]:
    """What the history has of a task, asked without the command line, which takes a second to start."""
    with closing(open_ledger(load_settings().ledger_url)) as ledger, ledger.reading() as session:
        return {task.id: task.state for task in search_tasks(session, TaskFilter(text=task_id)).tasks}


def test_a_canvas_over_three_brokers_is_drawn_with_the_broker_of_each_step(recorder):
    body = echo("default", "body").set(immutable=True)
    result = chain(echo("batch", 1), chord([echo("critical", 2), echo("batch", 3)], body), echo("critical", 4))()
    result.get(timeout=60)
    wait_for(lambda: states(result.id) == {result.id: "succeeded"}, "its last step in the history")
    graph = shown("workflows", "show", result.id)
    assert sorted(step["broker"] for step in graph["steps"]) == ["batch", "batch", "critical", "critical", "default"]
    assert {step["state"] for step in graph["steps"]} == {"succeeded"}
    assert all(step["seconds"] is not None and step["queue"] for step in graph["steps"])
    kinds = [edge["kind"] for edge in graph["edges"]]
    assert (kinds.count("chord"), kinds.count("published")) == (2, 3)
    drawn = yard("workflows", "show", result.id)[0]
    assert drawn.count("✓") == 5
    assert drawn.count("→") == 1
    first = next(step["id"] for step in graph["steps"] if step["id"] not in {edge["after"] for edge in graph["edges"]})
    assert first in yard("workflows")[0]


def test_a_failure_is_found_with_its_traceback_and_arguments_only_on_request(recorder):
    failed = app.send_task("try.fail", queue=QUEUES["batch"])
    kept = app.send_task("try.echo", ("a-secret",), queue=QUEUES["critical"])
    wait_for(lambda: states(failed.id) == {failed.id: "failed"}, "the failure in the history")
    wait_for(lambda: states(kept.id) == {kept.id: "succeeded"}, "the other one")
    listed = shown("tasks", "--state", "failed", "--task", "try.fail", "--since", "10m", "--broker", "batch")
    assert failed.id in {task["id"] for task in listed["tasks"]}
    assert "ValueError" in yard("tasks", "--state", "failed")[0]
    assert "as asked" in yard("tasks", "show", failed.id)[0]
    assert "Traceback" in shown("tasks", "show", failed.id)["traceback"]
    assert "a-secret" not in "".join(yard("tasks", "show", kept.id))
    assert shown("tasks", "show", kept.id, "--arguments")["args"] == "('a-secret',)"


def test_the_arguments_of_a_task_that_hides_them_are_nowhere(recorder, monkeypatch):
    monkeypatch.setattr(app.tasks["try.echo"], "hide_arguments", True, raising=False)
    sent = app.send_task("try.echo", ("a-password",), queue=QUEUES["default"])
    assert sent.get(timeout=60) == "a-password"
    wait_for(lambda: states(sent.id) == {sent.id: "succeeded"}, "it in the history")
    told = shown("tasks", "show", sent.id, "--arguments")
    assert (told["args"], told["kwargs"]) == ("(hidden)", "(hidden)")


def test_the_history_outlives_its_recorder(home, recorder):
    before = app.send_task("try.echo", (1,), queue=QUEUES["batch"])
    wait_for(lambda: states(before.id) == {before.id: "succeeded"}, "it in the history")
    recorder.kill()
    again, other = RecorderProcess(home, "again"), RecorderProcess(home, "other")
    for started in (again, other):
        started.wait_until_it_hears()
    after = app.send_task("try.echo", (2,), queue=QUEUES["batch"])
    wait_for(lambda: states(after.id) == {after.id: "succeeded"}, "what came afterwards")
    assert states(before.id) == {before.id: "succeeded"}
    for started in (again, other):
        started.stop()
        assert "ERROR" not in started.output


def test_a_recorder_goes_on_with_the_others_while_a_broker_is_away(home, brokers):
    url = brokers["YARD_BROKER_BATCH_URL"]
    port = int(url.rpartition(":")[2].partition("/")[0])
    with proxy_to(port) as proxy:
        variables = {**brokers, "YARD_BROKER_BATCH_URL": url.replace(f":{port}", f":{proxy.port}")}
        started = RecorderProcess(home, "proxied", variables)
        try:
            started.wait_until_it_hears()
            proxy.refuse()
            wait_for(lambda: "are not heard" in started.output, "it to say so")
            missed = app.send_task("try.echo", (1,), queue=QUEUES["critical"])
            wait_for(lambda: states(missed.id) == {missed.id: "succeeded"}, "what another broker tells")
            proxy.accept()
            wait_for(lambda: started.hears("batch") >= 2, "it to hear the broker again")
            back = app.send_task("try.echo", (2,), queue=QUEUES["batch"])
            wait_for(lambda: states(back.id) == {back.id: "succeeded"}, "what the broker tells now")
        finally:
            started.stop()


def test_who_asks_for_what_is_not_there_is_told_so(home):
    assert "no recorder" in yard("tasks")[1] or shown("tasks")["recorded"]
    _, complaint = yard("tasks", "show", "none", expect=exit_codes.REFUSED)
    assert "none" in complaint
    yard("workflows", "show", "none", expect=exit_codes.REFUSED)
    _, complaint = yard("tasks", "--state", "sucess", expect=exit_codes.REFUSED)
    assert "succeeded" in complaint
    yard("tasks", "--after", "nowhere", expect=exit_codes.REFUSED)
    yard("tasks", "--since", "tomorrowish", expect=exit_codes.REFUSED)
