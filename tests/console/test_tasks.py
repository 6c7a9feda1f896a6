"""Tasks in a browser: searched, followed, read whole, revoked."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from services.core.history.sightings import TaskState
from services.core.usecases.api_keys import Role
from shared.celery_app import FleetCelery
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import shoot, sign_in
from tests.fixtures.delays import forget_all
from tests.fixtures.history import failed, keep, seen, succeeded
from tests.fleet.tables import BROKERS

HOSTILE = "<b onclick=alert(1)>ValueError</b>: ada@example.org"


@pytest.fixture
def operator(page: Page, api: ApiProcess) -> Page:
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/tasks")
    return page


def rows(page: Page):
    return page.locator("tbody tr")


def test_tasks_are_found_by_what_they_are_and_the_address_keeps_the_filter(operator: Page, api: ApiProcess) -> None:
    keep(api.ledger, failed("blue-1", HOSTILE, broker="critical", name="email.send", queue="email.bulk"))
    keep(api.ledger, succeeded("blue-2", name="file.process"))
    keep(api.ledger, [seen("blue-3", TaskState.STARTED, 5, name="file.process")])
    expect(operator.locator("tr[data-key='blue-1']")).to_contain_text("failed")
    operator.get_by_role("button", name="failed", exact=True).click()
    expect(rows(operator)).to_have_count(1)
    operator.get_by_label("Search ids, names, arguments, errors").fill("ADA@example")
    expect(operator).to_have_url(re.compile(r"text=ADA%40example.*state=failed"))
    expect(rows(operator)).to_have_count(1)
    shoot(operator, "tasks-found")
    operator.reload()
    expect(operator.get_by_role("button", name="failed", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(rows(operator)).to_have_count(1)
    operator.get_by_role("button", name="Clear filters").click()
    expect(operator.locator("tr[data-key='blue-3']")).to_be_visible()
    operator.get_by_label("Broker").select_option("critical")
    expect(rows(operator)).to_have_count(1)


def test_older_tasks_are_read_on_and_new_ones_come_by_themselves(operator: Page, api: ApiProcess) -> None:
    many = [seen(f"many-{number:03}", TaskState.SENT, 1000 + number, name="many.task") for number in range(120)]
    keep(api.ledger, many)
    operator.goto(f"{api.url}/#/tasks?name=many.task")
    expect(rows(operator)).to_have_count(50)
    operator.get_by_role("button", name="Older tasks").click()
    expect(rows(operator)).to_have_count(100)
    operator.get_by_role("button", name="Older tasks").click()
    expect(rows(operator)).to_have_count(120)
    expect(operator.get_by_role("button", name="Older tasks")).to_be_hidden()
    keep(api.ledger, [seen("many-new", TaskState.SENT, 1, name="many.task")])
    expect(rows(operator)).to_have_count(121)
    assert rows(operator).first.get_attribute("data-key") == "many-new"
    assert rows(operator).last.get_attribute("data-key") == "many-119"
    keep(api.ledger, [seen("many-new", TaskState.STARTED, 0, name="many.task")])
    expect(rows(operator).first).to_contain_text("started")
    operator.get_by_role("button", name="Live", exact=True).click()
    burst = [seen(f"burst-{number:03}", TaskState.SENT, 0.5 - number / 1000, name="many.task") for number in range(60)]
    keep(api.ledger, burst)
    operator.get_by_role("button", name="Live", exact=True).click()
    expect(rows(operator).first).to_have_attribute("data-key", "burst-059")
    expect(rows(operator)).to_have_count(50)  # what is between was not read, so the list begins anew


def test_a_task_tells_all_that_is_known_of_it(operator: Page, api: ApiProcess) -> None:
    keep(api.ledger, failed("whole-1", HOSTILE, 30, broker="critical", root_id="whole-0", parent_id="whole-0"))
    operator.goto(f"{api.url}/#/tasks/whole-1")
    main = operator.get_by_role("main")
    expect(main.locator("pre", has_text=HOSTILE).first).to_be_visible()
    expect(main.locator("pre", has_text="Traceback …")).to_be_visible()
    expect(main.locator(".times li")).to_have_count(2)
    expect(main.locator(".track")).to_have_attribute("aria-label", "ran 0.3 s")
    expect(main.get_by_role("link", name="whole-0").first).to_have_attribute("href", "#/workflows/whole-0")
    expect(main.get_by_role("button", name="Revoke…")).to_have_count(0)  # it has ended
    shoot(operator, "task")


def test_who_may_not_read_tasks_sees_them_without_what_they_say(page: Page, api: ApiProcess) -> None:
    keep(api.ledger, failed("hidden-1", HOSTILE, 30))
    keep(api.ledger, [seen("hidden-2", TaskState.STARTED, 1)])
    sign_in(page, api.url, api.keys[Role.VIEWER].secret, "#/tasks")
    expect(page.get_by_label("Search ids, names, arguments, errors")).to_have_count(0)
    page.goto(f"{api.url}/#/tasks/hidden-1")
    expect(page.get_by_text("An operator may read what tasks were given, and what they said.")).to_be_visible()
    expect(page.get_by_text("ada@example.org")).to_have_count(0)
    page.goto(f"{api.url}/#/tasks/hidden-2")
    expect(page.locator(".times li")).to_have_count(1)
    expect(page.get_by_role("button", name="Revoke…")).to_have_count(0)


def test_a_task_nobody_told_of_is_said_to_be_unknown(operator: Page, api: ApiProcess) -> None:
    operator.goto(f"{api.url}/#/tasks/{uuid4()}")
    expect(operator.get_by_role("alert")).to_contain_text("It is not there")


def test_that_no_recorder_is_at_work_is_said(operator: Page) -> None:
    expect(operator.get_by_text("No recorder is at work")).to_be_visible()


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # Celery stores results with it
def test_a_task_is_revoked_once_the_person_agrees(
    page: Page, api_on_brokers: ApiProcess, fleet_of_tests: FleetCelery, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(forget_all)
    sent = fleet_of_tests.send_task(f"try.parked_{BROKERS[0]}", countdown=3600)
    keep(api_on_brokers.ledger, [seen(sent.id, TaskState.SENT, 5)])
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.OPERATOR].secret, f"#/tasks/{sent.id}")
    page.get_by_role("button", name="Revoke…").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert sent.state == "PENDING"
    page.get_by_role("button", name="Revoke…").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator("#toasts")).to_contain_text("leaves it out")
    assert sent.state == "REVOKED"
