"""Whoever stops a process of the fleet gives it the time that the queue table says, and what it needs beyond."""

from __future__ import annotations

import pytest

from services.core.app import app as core
from services.core.local.plan import switchyard_plan
from services.core.local.specs import ProcessSpec
from services.email_worker.app import app as email_worker
from services.file_worker.app import app as file_worker
from shared.names import ServiceName
from shared.queues import AFTER_GRACE_SECONDS, QUEUES, QueueSpec
from shared.settings import FleetSettings
from tests.containers.compose import OURS, ROOT, described

APPS = {ServiceName.CORE: core, ServiceName.EMAIL_WORKER: email_worker, ServiceName.FILE_WORKER: file_worker}
SERVICES = described()["services"]
PLANNED = {spec.name: spec for spec in switchyard_plan(FleetSettings()).processes}


@pytest.mark.parametrize("spec", QUEUES, ids=lambda spec: spec.name)
def test_the_supervisor_waits_for_a_worker_as_long_as_its_queue_says(spec: QueueSpec):
    assert PLANNED[spec.name].grace >= spec.grace + AFTER_GRACE_SECONDS


@pytest.mark.parametrize("spec", PLANNED.values(), ids=lambda spec: spec.name)
def test_a_container_has_at_least_the_time_that_the_supervisor_gives(spec: ProcessSpec):
    service = SERVICES[spec.name.replace(".", "-")]
    assert float(service["stop_grace_period"].removesuffix("s")) >= spec.grace


@pytest.mark.parametrize("spec", QUEUES, ids=lambda spec: spec.name)
def test_no_task_may_run_longer_than_the_grace_period_of_its_queue(spec: QueueSpec):
    app = APPS[ServiceName(spec.service)]
    app.loader.import_default_modules()
    own = [task for task in app.tasks.values() if app.routing.queue(task.name) == spec.name]
    assert own or spec.service == ServiceName.FILE_WORKER  # images are told from documents when they are published
    assert not [task.name for task in own if (task.time_limit or 0) > spec.grace]


def test_the_page_on_deploys_takes_every_service_of_ours_in_turn():
    page = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    loop = page.partition("for service in ")[2].partition("; do")[0].replace("\\", " ").split()
    assert sorted([*loop, "mail"]) == sorted(OURS)
