"""What the tests of the console share: a browser, a fleet, and an API on the brokers of the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from services.core.ledger.engine import Ledger, open_ledger
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from services.core.usecases.api_keys import Role, create_key
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import WITHIN_MS, Watched, a_page, start_browser

expect.set_options(timeout=WITHIN_MS)


@dataclass(frozen=True)
class Fleet:
    """A whole fleet that runs, with a ledger and a key of each role."""

    local: LocalFleet
    home: Path
    url: str
    ledger: Ledger
    keys: dict[Role, str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; for a module, since while Playwright drives one no other test may begin an event loop."""
    with sync_playwright() as playwright:
        started = start_browser(playwright)
        yield started
        started.close()


@pytest.fixture
def watched_page(browser: Browser) -> Iterator[tuple[Page, Watched]]:
    """A page, and what it does besides what a person sees; the test fails when something goes wrong in it."""
    with a_page(browser) as opened:
        yield opened


@pytest.fixture
def page(watched_page: tuple[Page, Watched]) -> Page:
    return watched_page[0]


@pytest.fixture
def watched(watched_page: tuple[Page, Watched]) -> Watched:
    return watched_page[1]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """An API of its own whose brokers are all out of reach: quick to start, and enough for what needs none."""
    with ApiProcess(tmp_path_factory.mktemp("console") / "home") as started:
        yield started


@pytest.fixture(scope="module")
def api_on_brokers(brokers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """An API of its own on the brokers of the run, which no worker serves."""
    reached = {name.removeprefix("YARD_").lower(): value for name, value in brokers.items() if name != "YARD_HOME"}
    with ApiProcess(tmp_path_factory.mktemp("console") / "home", **reached) as started:
        yield started


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A whole fleet with brokers of its own, as ``yard up`` starts it."""
    home = tmp_path_factory.mktemp("fleet-of-the-console") / "home"
    with LocalFleet(home, switchyard_plan) as started:
        ledger = open_ledger(started.settings.ledger_url)
        keys = {role: create_key(ledger, role, f"{role} of the tests").secret for role in Role}
        yield Fleet(started, home, f"http://127.0.0.1:{started.process('api').ports['http']}", ledger, keys)
        ledger.close()
