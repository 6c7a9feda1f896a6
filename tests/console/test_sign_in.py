"""Who is let in, what they are offered, and who is not."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Page, expect

from services.core.api.access import COOKIE
from services.core.usecases.api_keys import Role, create_key, revoke_key
from tests.fixtures.api import problem
from tests.fixtures.console import sign_in

ACTS = ("Pause", "Resume", "Purge…")


@pytest.fixture
def other_site() -> Iterator[str]:
    """The address of a site of somebody else."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"  # another site for a browser: the host has another name
        server.shutdown()


def asked_to_sign_in(page: Page) -> None:
    expect(page.get_by_label("API key")).to_be_visible()
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_a_key_opens_the_page_that_was_asked_for_and_stays_in_no_script(api, page):
    key = api.keys[Role.OPERATOR].secret
    sign_in(page, api.url, key, "#/queues/email.bulk")
    expect(page.get_by_role("heading", name="email.bulk")).to_be_visible()
    expect(page.get_by_text("operator of the tests")).to_be_visible()
    [cookie] = [each for each in page.context.cookies() if each["name"] == COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    kept = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert key not in kept
    assert cookie["value"] not in kept
    assert key not in page.content()


def test_a_session_lasts_over_a_reload_and_in_another_tab_until_it_is_ended(api, page):
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/queues")
    page.reload()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{api.url}/#/workers")
    expect(other.get_by_role("heading", name="Workers")).to_be_visible()
    other.get_by_role("button", name="Sign out").click()
    asked_to_sign_in(other)
    page.evaluate("location.hash = '#/workers'")
    asked_to_sign_in(page)
    page.get_by_label("API key").fill(api.keys[Role.VIEWER].secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Workers")).to_be_visible()
    assert [each for each in page.context.cookies() if each["name"] == COOKIE]


@pytest.mark.parametrize("key", ["yard_00000000_0000000000000000000000000000000000000000000", "nonsense"])
def test_a_wrong_key_is_told_and_opens_nothing(api, page, key):
    page.goto(api.url)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This is no key, or it was revoked.")
    asked_to_sign_in(page)


def test_a_key_that_is_revoked_meanwhile_ends_what_is_shown(api, page):
    made = create_key(api.ledger, Role.OPERATOR, "leaves today")
    sign_in(page, api.url, made.secret, "#/queues")
    expect(page.get_by_role("link", name="email.bulk")).to_be_visible()
    revoke_key(api.ledger, made.entry.id)
    asked_to_sign_in(page)
    page.get_by_label("API key").fill(made.secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("revoked")


def test_a_viewer_is_offered_no_act(api, page):
    sign_in(page, api.url, api.keys[Role.VIEWER].secret, "#/queues")
    expect(page.get_by_role("link", name="email.bulk")).to_be_visible()
    expect(page.get_by_role("link", name="Keys and audit")).to_have_count(0)
    expect(page.get_by_role("link", name="Dead letters")).to_have_count(0)
    offered = page.locator("main").get_by_role("button")
    for act in ACTS:
        expect(offered.filter(has_text=act)).to_have_count(0)
    page.get_by_role("link", name="email.bulk").click()
    expect(page.get_by_role("heading", name="email.bulk")).to_be_visible()
    expect(page.get_by_text("Held by workers")).to_be_visible()
    for act in ACTS:
        expect(offered.filter(has_text=act)).to_have_count(0)
    expect(page.get_by_role("region", name="Peek")).to_have_count(0)


def test_an_operator_is_offered_them(api, page):
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/queues/email.bulk")
    expect(page.get_by_role("button", name="Purge…")).to_be_visible()
    expect(page.get_by_role("link", name="Keys and audit")).to_be_visible()


def test_another_site_changes_nothing_in_the_name_of_who_is_signed_in(api, page, watched, other_site):
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret)
    target = f"{api.url}/api/v1/queues/email.bulk/pause"
    stranger = page.context.new_page()
    stranger.goto(other_site)
    sent = stranger.evaluate(
        """async (url) => {
          await fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}'});
          return fetch(url, {method: 'POST', credentials: 'include', headers: {'Idempotency-Key': 'stolen'}})
            .then(() => 'answered', () => 'refused');
        }""",
        target,
    )
    assert sent == "refused"
    with stranger.expect_navigation():
        stranger.evaluate(
            """(url) => {
              const form = document.createElement('form');
              Object.assign(form, {method: 'post', action: url});
              document.body.append(form);
              form.submit();
            }""",
            target,
        )
    assert "urn:switchyard:problem:not-known" in stranger.content()  # the cookie did not go with it
    answer = page.evaluate(
        "url => fetch(url, {method: 'POST', headers: {'Idempotency-Key': '1'}}).then(a => a.text())", target
    )
    assert "urn:switchyard:problem:other-site" in answer  # nor is the cookie enough on our own pages
    audit = api.get("/api/v1/audit").json()["entries"]
    assert [entry for entry in audit if entry["act"] == "pause queue" and entry["status"] < 300] == []


def test_no_other_page_frames_the_console(api, page, watched, other_site):
    page.goto(other_site)
    page.evaluate(
        """url => new Promise(done => {
          const frame = document.createElement('iframe');
          frame.src = url;
          frame.onload = done;
          document.body.append(frame);
        })""",
        api.url,
    )
    assert page.frames[1].locator("#main").count() == 0
    watched.faults.clear()


def test_the_cookie_is_no_use_once_signed_out(api, page):
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret)
    [cookie] = [each for each in page.context.cookies() if each["name"] == COOKIE]
    page.get_by_role("button", name="Sign out").click()
    asked_to_sign_in(page)
    answer = api.client.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={cookie['value']}"})
    problem(answer, 401, "not-known")
