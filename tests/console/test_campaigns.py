"""Campaigns are started, watched, paused and called off in a browser; the workers are played by the tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from services.core.usecases.api_keys import Role
from services.core.usecases.record_chunk import record_chunk
from services.core.usecases.release_chunks import release_chunks
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import PHONE, a_page, overflow_of, shoot, sign_in

REASON = "550 5.1.1 No such recipient <b>here</b>"


@pytest.fixture
def sender(page: Page, api: ApiProcess) -> Page:
    sign_in(page, api.url, api.keys[Role.SENDER].secret, "#/campaigns")
    return page


def give(page: Page, text: str, name: str = "people.csv") -> None:
    """Pick a list."""
    page.locator("input[type=file]").set_input_files(FilePayload(name=name, mimeType="text/csv", buffer=text.encode()))


def people(count: int, domain: str) -> str:
    return "email,name\n" + "".join(f"r{number:03}@{domain},R\n" for number in range(count))


def started(api: ApiProcess, campaign: str, count: int) -> str:
    """Start a campaign; its addresses are of a domain of its own."""
    answer = api.send_csv(people(count, f"{campaign[:20]}.example"), id=campaign)
    assert answer.status_code == 202, answer.text
    return campaign


def work(api: ApiProcess, campaign: str, **others: str) -> None:
    """Play the worker of the next chunk: all of it is sent, but for those that are named by the part before @."""
    for chunk in release_chunks(api.ledger, campaign, window=1):
        outcomes: list[Any] = []
        for recipient in chunk["recipients"]:
            status = others.get(recipient["address"].partition("@")[0], "sent")
            reason = None if status == "sent" else REASON
            told = {"to": recipient["address"], "status": status, "reason": reason, "message_id": None}
            outcomes.append({"recipient_id": recipient["recipient_id"], **told})
        record_chunk(api.ledger, {**chunk, "recipients": [], "outcomes": outcomes})


def legend(page: Page) -> dict[str, str]:
    counts = page.locator(".outcome-legend li")
    return {each.get_attribute("data-state") or "": each.locator("strong").inner_text() for each in counts.all()}


def badge(page: Page) -> Any:
    return page.locator("#main .toolbar .badge").first


def test_rows_that_cannot_be_used_are_shown_with_their_lines_and_may_be_recorded(sender: Page, api: ApiProcess) -> None:
    give(sender, "email,name\nada@example.org,Ada\n,Bob\nnot <i>an</i> address,Carl\ngrace@example.org,Grace\n")
    sender.get_by_label("Template", exact=True).fill("newsletter")
    sender.get_by_label("Id", exact=True).fill("with-bad-rows")
    sender.get_by_role("button", name="Start campaign").click()
    rows = sender.get_by_role("region", name="Rows that can't be used").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0).locator("th, td").first).to_have_text("3")
    expect(rows.nth(0)).to_contain_text("It has no address.")
    expect(rows.nth(1)).to_contain_text("not <i>an</i> address")
    shoot(sender, "campaigns-bad-rows")
    assert api.get("/api/v1/campaigns/with-bad-rows").status_code == 404
    sender.get_by_role("button", name="record bad addresses as invalid").click()
    expect(sender).to_have_url(re.compile("#/campaigns/with-bad-rows$"))
    counts = api.get("/api/v1/campaigns/with-bad-rows").json()["counts"]
    assert sum(counts.values()) == 3


def test_a_list_that_was_mailed_is_mailed_again_only_on_purpose(sender: Page, api: ApiProcess) -> None:
    earlier = api.send_csv(people(2, "twice.example")).json()["id"]
    for expected in ("See that campaign", "Mail this list again"):
        give(sender, people(2, "twice.example"))
        sender.get_by_label("Template", exact=True).fill("newsletter")
        sender.get_by_role("button", name="Start campaign").click()
        expect(sender.get_by_role("alert").get_by_text(earlier)).to_be_visible()
        sender.get_by_text(expected).click()
        expect(sender).to_have_url(re.compile(r"#/campaigns/campaign-"))
        assert sender.url.endswith(earlier) == (expected == "See that campaign")
        expect(sender.get_by_role("form", name="Start a campaign")).to_have_count(0)  # else it would take the next list
        sender.goto(f"{api.url}/#/campaigns")


def test_templates_that_were_used_are_offered(sender: Page, api: ApiProcess) -> None:
    api.send_csv(people(1, "offered.example"), id="offered", template="spring-offer")
    sender.reload()
    expect(sender.locator("datalist option[value='spring-offer']")).to_have_count(1)
    names = [option.get_attribute("value") for option in sender.locator("datalist option").all()]
    assert "newsletter" in names
    assert len(names) == len(set(names))


def test_a_campaign_is_followed_paused_resumed_and_cancelled(sender: Page, api: ApiProcess) -> None:
    campaign = started(api, "followed", 150)
    sender.get_by_role("link", name=campaign).click()
    expect(sender.locator(".figure")).to_have_text("0 of 150 recipients")
    work(api, campaign, r001="failed", r002="unknown", r003="invalid")
    expect(sender.locator(".figure")).to_have_text("50 of 150 recipients")
    assert legend(sender) == {"sent": "47", "invalid": "1", "unknown": "1", "failed": "1", "pending": "100"}
    sender.get_by_role("button", name="Pause").click()
    expect(badge(sender)).to_have_text("paused")
    expect(sender.locator(".notice")).to_have_text("Paused. Nothing is under way.")
    assert release_chunks(api.ledger, campaign, window=1) == []
    shoot(sender, "campaign-paused")
    sender.get_by_role("button", name="Resume").click()
    expect(badge(sender)).to_have_text("running")
    work(api, campaign)
    expect(sender.locator(".figure")).to_have_text("100 of 150 recipients")
    sender.get_by_role("button", name="Cancel campaign").click()
    dialog = sender.get_by_role("dialog")
    expect(dialog).to_contain_text("50 recipients get no mail")
    sure = dialog.get_by_role("button", name="Cancel the campaign")
    expect(sure).to_be_disabled()
    dialog.get_by_role("textbox").fill(campaign)
    sure.click()
    expect(badge(sender)).to_have_text("cancelled")
    expect(sender.get_by_role("button", name="Resume")).to_have_count(0)
    assert release_chunks(api.ledger, campaign, window=1) == []


def test_whom_it_did_not_reach_is_listed_searched_and_paged(sender: Page, api: ApiProcess) -> None:
    failed = {f"r{number:03}": "failed" for number in range(60)}
    campaign = started(api, "searched", 100)
    work(api, campaign, **failed, r070="unknown")
    work(api, campaign, **failed, r070="unknown")
    sender.goto(f"{api.url}/#/campaigns/{campaign}")
    rows = sender.get_by_role("region", name="Recipients").locator("tbody tr")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text(REASON)
    sender.get_by_role("button", name="Next page").click()
    expect(rows).to_have_count(11)
    sender.get_by_role("button", name="First page").click()
    expect(rows).to_have_count(50)
    sender.get_by_role("link", name="unknown", exact=True).click()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("r070@searched.example")
    sender.get_by_role("link", name="not sent").click()
    sender.keyboard.press("/")
    sender.keyboard.type("R00")
    sender.keyboard.press("Enter")
    expect(rows).to_have_count(10)
    shared = sender.url
    sender.goto(f"{api.url}/#/campaigns")
    sender.goto(shared)
    expect(rows).to_have_count(10)
    expect(sender.get_by_role("searchbox")).to_have_value("R00")


def test_a_viewer_sees_counts_and_neither_recipients_nor_acts(page: Page, api: ApiProcess) -> None:
    campaign = started(api, "viewed", 2)
    sign_in(page, api.url, api.keys[Role.VIEWER].secret, "#/campaigns")
    expect(page.locator(".dropzone")).to_have_count(0)
    page.get_by_role("link", name=campaign).click()
    expect(page.locator(".figure")).to_have_text("0 of 2 recipients")
    expect(page.get_by_text("for senders and operators")).to_be_visible()
    assert "@viewed.example" not in page.content()
    for act in ("Pause", "Resume", "Cancel campaign"):
        expect(page.get_by_role("button", name=act)).to_have_count(0)


@pytest.fixture
def phone(browser: Browser, api: ApiProcess) -> Iterator[Page]:
    with a_page(browser, viewport=PHONE, color_scheme="dark") as (page, _):
        sign_in(page, api.url, api.keys[Role.SENDER].secret, "#/campaigns")
        yield page


def test_nothing_is_wider_than_a_phone(phone: Page, api: ApiProcess) -> None:
    campaign = started(api, "a-campaign-with-a-name-as-long-as-the-name-of-a-campaign-may-get", 60)
    work(api, campaign, r001="failed")
    phone.reload()
    expect(phone.get_by_role("row", name=campaign)).to_be_visible()
    assert overflow_of(phone) == 0
    phone.goto(f"{api.url}/#/campaigns/{campaign}")
    expect(phone.get_by_text(REASON)).to_be_visible()
    assert overflow_of(phone) == 0
    shoot(phone, "campaign-phone")
