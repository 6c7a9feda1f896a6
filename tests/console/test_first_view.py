"""The first view is small, comes from the fleet alone, and is of use with a keyboard, in the dark, and on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from services.core.api.routes_console import POLICY
from services.core.usecases.api_keys import Role
from tests.fixtures.console import PHONE, a_page, overflow_of, shoot, sign_in

LARGEST_BYTES = 300_000
PAGES = {"Overview": "#/", "Queues": "#/queues", "Workers": "#/workers"}


def test_the_first_view_is_small_and_comes_from_here_alone(api, page, watched):
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret)
    expect(page.get_by_label("Broker critical").get_by_role("row")).to_have_count(2)
    expect(page.get_by_text("File jobs running")).to_be_visible()
    whole = 0
    for request in list(watched.requests):
        response = request.response()
        assert response is not None, request.url
        whole += len(response.body()) if request.method == "GET" and response.status == 200 else 0
    print(f"\nThe first view takes {whole} bytes in {len(watched.requests)} requests.")
    assert 20_000 < whole < LARGEST_BYTES
    assert watched.hosts() == {api.url.removeprefix("http://")}


def test_what_was_seen_before_is_not_sent_again(api, page):
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret)
    first = api.client.get("/app.js")
    again = api.client.get("/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert first.headers["cache-control"] == "no-cache"


def test_the_policy_lets_nothing_in(api, watched_page):
    page, watched = watched_page
    answer = page.goto(api.url)
    assert answer is not None
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-frame-options"] == "DENY"
    page.evaluate("""() => {
      const script = document.createElement('script');
      script.textContent = 'window.ran = true';
      document.head.append(script);
    }""")
    assert page.evaluate("window.ran") is None
    assert [fault for fault in watched.faults if "Content Security Policy" in fault]
    watched.faults.clear()


@pytest.mark.parametrize(
    "path", ["/lib/none.js", "/..%2f__init__.py", "/%2e%2e/%2e%2e/api/access.py", "/static/app.js"]
)
def test_no_other_path_leads_anywhere(api, path):
    assert api.client.get(path).status_code == 404


def test_all_is_reached_with_the_keyboard(api, page):
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret)
    page.keyboard.press("g")
    page.keyboard.press("q")
    search = page.get_by_role("searchbox")
    expect(search).to_be_visible()
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("email")
    expect(page.get_by_role("row")).to_have_count(3)
    assert page.url.endswith("#/queues?text=email")
    page.keyboard.press("Escape")
    expect(search).not_to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    head = page.get_by_role("button", name="Queue", exact=True)
    head.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Queue")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("link", name="email.bulk").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="email.bulk")).to_be_visible()
    focused = "getComputedStyle(document.activeElement).outlineStyle"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) != "none"


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(api, browser, name):
    with a_page(browser, viewport=PHONE, has_touch=True) as (page, _):
        sign_in(page, api.url, api.keys[Role.OPERATOR].secret, PAGES[name])
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        expect(page.locator("#live")).to_be_visible()
        assert overflow_of(page) == 0
        shoot(page, f"{name} phone")
        page.get_by_role("button", name="Menu").click()
        expect(page.get_by_role("link", name="Schedule")).to_be_in_viewport()
        page.keyboard.press("Escape")
        expect(page.get_by_role("link", name="Schedule")).not_to_be_visible()


def test_the_theme_is_that_of_the_system_until_it_is_chosen(api, browser):
    ground = "getComputedStyle(document.body).backgroundColor"
    with a_page(browser, color_scheme="dark") as (page, _):
        sign_in(page, api.url, api.keys[Role.OPERATOR].secret)
        dark = page.evaluate(ground)
        page.get_by_role("button", name="Theme: as the system").click()
        expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
        light = page.evaluate(ground)
        assert light != dark
        page.reload()
        expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
        assert page.evaluate(ground) == light
