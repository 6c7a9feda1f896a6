"""A ``FleetCelery`` over other tables works beside Switchyard's, in one process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.core.app import app as core
from services.email_worker.app import app as email_worker
from shared.brokers import switchyard_brokers
from shared.errors import UnknownQueue, UnknownTask
from tests.fleet.app import app as other
from tests.fleet.inspection import ParkedMessages, messages
from tests.fleet.tables import parked


def test_two_fleets_know_each_their_own_names(brokers):
    look = ParkedMessages(other)
    by_other = other.send_task("try.parked_batch")
    by_core = core.send_task("core.clean_artefacts")
    by_email_worker = email_worker.send_task("core.clean_artefacts")
    assert look.broker_of(by_other.id) == "batch"
    found = messages(switchyard_brokers()["default"], "core.maintenance")
    assert [headers["id"] for headers in found] == [by_core.id, by_email_worker.id]
    with pytest.raises(UnknownQueue):
        core.send_task("core.clean_artefacts", queue=parked("batch"))
    with pytest.raises(UnknownTask):
        core.send_task("try.parked_batch")


def test_importing_an_app_makes_none_current(brokers):
    modules = "services.core.app, services.email_worker.app, tests.fleet.app"
    program = f"import {modules}; from celery import current_app; print(current_app.main)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "default\n"  # Celery's own
