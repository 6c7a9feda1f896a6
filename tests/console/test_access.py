"""Keys and the audit are seen in a browser, by those who may, and never a secret."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from services.core.usecases.api_keys import Role, create_key, revoke_key
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import shoot, sign_in

HOSTILE = "<b>on call</b>"
MORE_THAN_A_PAGE = 60


def test_keys_are_listed_without_what_is_secret_of_them(page: Page, api: ApiProcess) -> None:
    hostile = create_key(api.ledger, Role.VIEWER, HOSTILE)
    revoke_key(api.ledger, hostile.entry.id)
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/access")
    keys = page.get_by_role("region", name="Keys", exact=True).locator("tbody tr")
    expect(keys.filter(has_text=HOSTILE)).to_contain_text("revoked")
    expect(keys.filter(has_text="operator of the tests")).to_contain_text("this session")
    shown = page.content()
    for key in (*api.keys.values(), hostile):
        assert key.entry.id in shown
        assert key.secret.rpartition("_")[2] not in shown
        assert key.secret not in shown


def test_the_audit_is_read_page_by_page_and_key_by_key(page: Page, api: ApiProcess) -> None:
    for number in range(MORE_THAN_A_PAGE):
        api.post(f"/api/v1/campaigns/nothing-{number}/pause", Role.SENDER)
    api.post("/api/v1/queues/email.bulk/purge", Role.VIEWER)
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/access")
    entries = page.get_by_role("region", name="Audit", exact=True).locator("tbody tr")
    expect(entries).to_have_count(50)
    expect(entries.first).to_contain_text("purge queue")
    expect(entries.first).to_contain_text("403 denied")
    expect(entries.nth(1)).to_contain_text("404 refused")
    shoot(page, "access")
    page.get_by_role("button", name="Earlier").click()
    expect(entries.filter(has_text="nothing-0/")).to_have_count(1)
    page.get_by_role("button", name="Latest").click()
    page.get_by_label("Requests of").select_option(api.keys[Role.VIEWER].entry.id)
    expect(entries).to_have_count(1)
    shared = page.url
    page.goto(f"{api.url}/#/jobs")
    page.goto(shared)
    expect(entries).to_have_count(1)


def test_it_is_offered_to_nobody_else(page: Page, api: ApiProcess) -> None:
    sign_in(page, api.url, api.keys[Role.SENDER].secret)
    places = page.get_by_role("navigation", name="Pages")
    expect(places.get_by_role("link", name="File jobs")).to_be_visible()
    expect(places.get_by_role("link", name="Keys and audit")).to_have_count(0)
    page.goto(f"{api.url}/#/access")
    expect(page.get_by_role("alert")).to_contain_text("are for operators")
    assert api.keys[Role.OPERATOR].entry.id not in page.content()
