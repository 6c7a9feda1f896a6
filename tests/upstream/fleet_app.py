"""A pytest plugin: the apps that Celery's fixtures make for the tests are of the fleet on three brokers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery.contrib.testing import app as testing_app
from celery.contrib.testing.manager import Manager

from tests.upstream.queues import worker_name
from tests.upstream.three_brokers import fleet

SETS_APP_CURRENT = "ZZZZ_set_app_current"
"""Celery's fixture that makes the app current, and then insists that it has no queue but ``celery``."""


def pytest_configure() -> None:
    testing_app.Celery = fleet
    Manager.wait_until_idle = wait_until_idle


def pytest_itemcollected(item: pytest.Item) -> None:
    assert isinstance(item, pytest.Function)
    names = item.fixturenames
    if SETS_APP_CURRENT in names:  # the cases of a parametrised test share their list
        names[names.index(SETS_APP_CURRENT)] = fleet_app_is_current.__name__


@pytest.fixture
def fleet_app_is_current(app: Any) -> None:
    app.set_current()
    app.set_default()


def wait_until_idle(manager: Manager) -> None:
    """Empty the queues and wait until no worker has anything to do, as Celery's ``Manager`` does it for one."""
    while sum(waiting_or_active(manager.app)):
        pass


def waiting_or_active(app: Any) -> Iterator[int]:
    """Empty the queue of each broker and count what was in it; then count what its worker is busy with."""
    for queue in app.queue_table.values():
        with app.connection_for_write(queue.broker) as connection:
            yield queue.queue.bind(connection.default_channel).purge() or 0
        with app.on_broker(queue.broker):
            worker = worker_name(queue.broker)
            yield len(app.control.inspect(destination=[worker]).active()[worker])
