"""What can't be right is refused before anything is sent, with the right spelling."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from shared.brokers import Broker, Brokers, switchyard_brokers
from shared.depths import measured_by
from shared.errors import (
    InvalidPriority,
    InvalidTable,
    MisroutedQueue,
    UnknownBroker,
    UnknownQueue,
    UnknownSetting,
    UnknownTask,
)
from tests.fixtures.workers import ROOT
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.tables import QUEUES, parked, served


def everything_waiting() -> int:
    return sum(depth.ready for broker in measured_by(switchyard_brokers(), QUEUES) for depth in broker.measure() or ())


@pytest.mark.parametrize(
    ("call", "error", "spelling"),
    [
        (lambda: app.send_task("try.ecko"), UnknownTask, "try.echo"),
        (lambda: app.signature("try.ecko").delay(), UnknownTask, "try.echo"),
        (lambda: app.send_task("try.echo", queue="try.batch.parkt"), UnknownQueue, "try.batch.parked"),
        (lambda: app.send_task("try.echo", queue=parked("batch"), broker="bach"), UnknownBroker, "batch"),
        (lambda: app.send_task("try.echo", queue=parked("batch"), broker="critical"), MisroutedQueue, "'batch'"),
        (lambda: app.send_task("try.echo", exchange="nowhere", routing_key="x"), UnknownQueue, "nowhere/x"),
        (lambda: app.send_task("try.echo", queue=parked("batch"), priority=10), InvalidPriority, "10"),
        (lambda: app.send_task("try.echo", queue=parked("batch"), priority="9"), InvalidPriority, "'9'"),
    ],
)
def test_a_call_with_an_unknown_name_sends_nothing(brokers, call, error, spelling):
    before = everything_waiting()
    with pytest.raises(error, match=spelling) as caught:
        call()
    assert caught.value.sent == "no"
    assert everything_waiting() == before


def test_an_unknown_broker_is_named_without_its_password(brokers):
    with pytest.raises(UnknownBroker) as caught:
        app.send_task("try.echo", queue=parked("batch"), broker="amqp://user:open-sesame@elsewhere:5672//")
    assert "elsewhere" in str(caught.value)
    assert "open-sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "spelling"),
    [
        (lambda conf: conf.update(CELERY_TASK_ACKS_LATE=True), "task_acks_late"),
        (lambda conf: conf.update(task_ack_late=True), "task_acks_late"),
        (lambda conf: setattr(conf, "worker_prefetch_multiplyer", 1), "worker_prefetch_multiplier"),
        (lambda conf: conf.setdefault("resultbackend", "redis://"), "result_backend"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_right_spelling(fleet_of_tests, change, spelling):
    with pytest.raises(UnknownSetting, match=spelling):
        change(fleet_of_tests.conf)


def test_a_misspelt_setting_in_a_configuration_module_is_refused(fleet_of_tests):
    fleet_of_tests.config_from_object(SimpleNamespace(task_acks_latte=True))
    with pytest.raises(UnknownSetting, match="task_acks_late"):
        fleet_of_tests.conf.task_acks_late  # noqa: B018


def test_settings_with_a_namespace_leave_those_of_others_alone(fleet_of_tests):
    django = SimpleNamespace(CELERY_TASK_ACKS_LATE=False, DEBUG=True, helper=print, json=pytest)
    fleet_of_tests.config_from_object(django, namespace="CELERY")
    assert fleet_of_tests.conf.task_acks_late is False


def test_an_unknown_setting_of_a_namespace_is_refused(fleet_of_tests):
    fleet_of_tests.config_from_object(SimpleNamespace(CELERY_TASK_ACK_LATE=False), namespace="CELERY")
    with pytest.raises(UnknownSetting, match="task_acks_late"):
        fleet_of_tests.conf.task_acks_late  # noqa: B018


def test_two_brokers_at_one_address_are_no_fleet(brokers):
    url = switchyard_brokers()["default"].url
    with pytest.raises(InvalidTable, match="same address"):
        Brokers([Broker("one", url), Broker("two", url)])


@pytest.mark.parametrize(
    ("queues", "told"),
    [
        ([served("default", "prefork"), served("batch", "prefork")], "A worker serves queues of one broker"),
        (["try.batch.prefrok"], "Did you mean 'try.batch.prefork'"),
        ([served("default", "threads"), served("default", "solo")], "want different pools (solo, threads)"),
    ],
)
def test_a_worker_of_queues_that_do_not_go_together_is_refused(brokers, queues, told):
    command = [sys.executable, "-m", "celery", "-A", "tests.fleet.app", "worker", "-Q", ",".join(queues)]
    worker = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert worker.returncode == 1
    assert told in worker.stderr
    assert "Traceback" not in worker.stderr
