"""A task of a fleet has what the fleet adds, whichever class it is derived from."""

# ruff: noqa: ARG002 - the arguments are part of what is tested

from __future__ import annotations

import pytest
from celery import Task

from shared.errors import ConfigurationError
from shared.task import FleetTask
from tests.fleet.app import fleet


class DebugTask(Task):
    """A base class as guides write it."""

    def on_success(self, retval, task_id, args, kwargs):
        return "mine"


def work(customer=None):
    """The body of a task."""


@pytest.fixture
def app():
    with fleet() as own:
        yield own


def test_a_base_class_of_celery_s_own_keeps_its_handlers_and_gains_the_fleet_s(app):
    task = app.task(shared=False, name="based", base=DebugTask)(work)
    assert isinstance(task, FleetTask)
    assert isinstance(task, DebugTask)
    assert task.on_success(None, "", (), {}) == "mine"
    assert not task.acknowledge()
    assert task.Request == FleetTask.Request


def test_a_base_class_of_the_app_s_own_stays_as_it_is(app):
    class OwnTask(app.Task):  # type: ignore[name-defined]
        abstract = True

    task = app.task(shared=False, name="own", base=OwnTask)(work)
    assert task.__class__.__bases__ == (OwnTask,)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fleet_rate_limit": "often"}, "'100/m'"),
        ({"fleet_rate_limit": "10/d"}, "'100/m'"),
        ({"fleet_rate_limit": "-1/s"}, "'100/m'"),
        ({"fleet_rate_limit": "1/s", "fleet_rate_limit_burst": 0}, "from 1 up"),
        ({"fleet_rate_limit": "1/s", "fleet_rate_limit_key": "custmer"}, "no argument 'custmer'"),
    ],
)
def test_a_limit_that_can_t_be_held_is_refused(app, options, told):
    task = app.task(shared=False, name="limited", **options)(work)
    with pytest.raises(ConfigurationError, match=told):
        task.name  # noqa: B018 - here Celery makes the task


def test_a_limit_needs_shared_state():
    with fleet(state=None) as app:
        task = app.task(shared=False, name="limited", fleet_rate_limit="1/s")(work)
        with pytest.raises(ConfigurationError, match="shared state"):
            task.name  # noqa: B018 - here Celery makes the task
