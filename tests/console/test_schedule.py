"""The schedule is seen, paused, resumed and run in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from services.core.history.sightings import Sighting, TaskState
from services.core.ledger.history import keep_sightings
from services.core.schedule import SCHEDULE
from services.core.usecases.api_keys import Role
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import shoot, sign_in

ENTRY = "remove dead letters that are too old"
TASK = "core.clean_dead_letters"
QUEUE = "core.maintenance"


@pytest.fixture
def queue(api_on_brokers: ApiProcess) -> Iterator[str]:
    """The queue of the schedule, which is left empty."""
    yield QUEUE
    api_on_brokers.post(f"/api/v1/queues/{QUEUE}/purge")
    api_on_brokers.post(f"/api/v1/schedule/{ENTRY}/resume")


def ready(api: ApiProcess, queue: str) -> int:
    found = api.get("/api/v1/queues", params={"fresh": True}).json()["entries"]
    [depth] = [each["ready"] for each in found if each["name"] == queue]
    assert isinstance(depth, int)
    return depth


def row(page: Page) -> Locator:
    return page.get_by_role("row", name=ENTRY)


def test_an_entry_is_paused_and_resumed(page: Page, api_on_brokers: ApiProcess, queue: str) -> None:
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.OPERATOR].secret, "#/schedule")
    entries = page.get_by_role("region", name="Entries", exact=True).locator("tbody tr")
    expect(entries).to_have_count(len(SCHEDULE))
    row(page).get_by_role("button", name="Pause").click()
    expect(row(page)).to_contain_text("by operator of the tests")
    [entry] = [each for each in api_on_brokers.get("/api/v1/schedule").json()["entries"] if each["name"] == ENTRY]
    assert entry["paused"]["by"] == "operator of the tests"
    shoot(page, "schedule")
    row(page).get_by_role("button", name="Resume").click()
    expect(row(page).get_by_role("button", name="Pause")).to_be_visible()
    expect(row(page)).not_to_contain_text("operator")


def test_an_entry_is_run_once_and_after_a_question(page: Page, api_on_brokers: ApiProcess, queue: str) -> None:
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.OPERATOR].secret, "#/schedule")
    before = ready(api_on_brokers, queue)
    row(page).get_by_role("button", name="Run now").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert ready(api_on_brokers, queue) == before
    row(page).get_by_role("button", name="Run now").click()
    expect(page.get_by_role("dialog")).to_contain_text(TASK)
    page.get_by_role("dialog").get_by_role("button", name="Run now").click()
    expect(page.get_by_text(f"{ENTRY} was published")).to_be_visible()
    assert ready(api_on_brokers, queue) == before + 1


def test_the_latest_runs_of_an_entry_are_those_of_the_history(page: Page, api_on_brokers: ApiProcess) -> None:
    now = time.time()
    runs = [
        Sighting("run-1", TaskState.SUCCEEDED, now - 60, now - 61, name=TASK, worker="core@here", seconds=0.5),
        Sighting("run-2", TaskState.FAILED, now, now, name=TASK, worker="core@here", seconds=1.5),
        Sighting("another", TaskState.FAILED, now, now, name="core.clean_history"),
    ]
    with api_on_brokers.ledger.writing() as session:
        keep_sightings(session, runs)
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.VIEWER].secret, "#/schedule")
    row(page).get_by_role("button", name="History").click()
    history = page.get_by_role("region", name="History").locator("tbody tr")
    expect(history).to_have_count(2)
    expect(history.nth(0)).to_contain_text("failed")
    expect(history.nth(1)).to_contain_text("0.5 s")
    shared = page.url
    page.goto(f"{api_on_brokers.url}/#/jobs")
    page.goto(shared)
    expect(history).to_have_count(2)


def test_a_viewer_may_look_alone(page: Page, api_on_brokers: ApiProcess) -> None:
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.VIEWER].secret, "#/schedule")
    expect(row(page)).to_be_visible()
    for act in ("Pause", "Resume", "Run now"):
        expect(page.get_by_role("button", name=act)).to_have_count(0)


def test_shared_state_that_does_not_answer_is_told(page: Page, api: ApiProcess) -> None:
    sign_in(page, api.url, api.keys[Role.VIEWER].secret, "#/schedule")
    expect(page.locator("#stale")).to_contain_text("does not answer")
