"""A day's work in two browsers, at the desk and on call, on a fleet that ``yard up`` started."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from examples.generators.photographs import photograph
from services.core.cli import exit_codes
from services.core.usecases.api_keys import Role
from shared.settings import child_environment
from tests.fixtures.console import a_page, shoot, sign_in
from tests.fixtures.workers import ROOT
from tests.fixtures.yard import YARD
from tests.fleet.inspection import wait_for

WINDOW = {"width": 1280, "height": 800}
RECIPIENTS = 600
CHUNK = 5
WRONG, RIGHT = "hard-fail-office@example.org", "office@example.org"
UNREACHABLE = tuple(f"hard-fail-{name}@example.org" for name in ("ada", "edsger", "grace"))
CAMPAIGN = "spring-news"
STALLED = "advance campaigns that a crash left standing"
AT_WORK_MS = 60_000

pytestmark = pytest.mark.timeout(500)


class Fleet:
    """A fleet in a folder of its own, by the command line."""

    def __init__(self, home: Path) -> None:
        self._settings = {"YARD_HOME": str(home), "YARD_CAMPAIGN_CHUNK_SIZE": str(CHUNK), "YARD_CAMPAIGN_WINDOW": "2"}
        self._mail = home / "mail"
        self.url = ""

    def yard(self, *arguments: str) -> str:
        done = subprocess.run(
            [*YARD, *arguments], check=False, cwd=ROOT, capture_output=True, text=True, timeout=200,
            stdin=subprocess.DEVNULL, env=child_environment(self._settings, without=("YARD_",)),
        )  # fmt: skip
        assert done.returncode == exit_codes.OK, done.stdout + done.stderr
        return done.stdout

    def up(self) -> None:
        told = self.yard("up")
        found = re.search(r"http://127\.0\.0\.1:\d+", told)
        assert found, told
        self.url = found[0]

    def key(self, role: Role, label: str) -> str:
        return self.yard("key", "create", label, "--role", str(role)).strip()

    def mails(self) -> Counter[str]:
        """How many mails each address got."""
        texts = (path.read_text(errors="replace") for path in self._mail.glob("*.eml"))
        return Counter(text.partition("\n")[0].removeprefix("X-Envelope-To: ").strip() for text in texts)

    def mails_of_campaign(self) -> int:
        return sum(count for address, count in self.mails().items() if address.startswith("reader-"))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    started = Fleet(tmp_path_factory.mktemp("day") / "home")
    started.up()
    yield started
    started.yard("down")


@pytest.fixture
def desk(browser: Browser, fleet: Fleet) -> Iterator[Page]:
    """Somebody who gives work."""
    with a_page(browser, viewport=WINDOW) as (page, _):
        sign_in(page, fleet.url, fleet.key(Role.SENDER, "the desk"), "#/jobs")
        yield page


@pytest.fixture
def on_call(browser: Browser, fleet: Fleet) -> Iterator[Page]:
    """Somebody who looks after the fleet."""
    with a_page(browser, viewport=WINDOW) as (page, _):
        sign_in(page, fleet.url, fleet.key(Role.OPERATOR, "on call"))
        yield page


def test_a_day(desk: Page, on_call: Page, fleet: Fleet) -> None:
    upload_files(desk)
    workflow = watch_the_graph(desk)
    mend_the_mail(on_call, workflow, fleet)
    start_a_campaign(desk)
    pause_it(desk, on_call, fleet)
    resume_it(desk, on_call, fleet)
    look_back(on_call)


def upload_files(desk: Page) -> None:
    """Give files, with a mail that the relay will refuse, and see each of them done."""
    desk.locator("input[type=file]").set_input_files(files())
    desk.get_by_label("Mail the outcome to").fill(WRONG)
    picture(desk, "upload")
    desk.get_by_role("button", name=f"Upload {len(files())} files").click()
    expect(desk.locator(".figure")).to_have_text(f"{len(files())} of {len(files())} files", timeout=AT_WORK_MS)
    expect(desk.locator(".files .badge.bad")).to_have_count(1)
    expect(desk.locator("[data-state=failed] .reason")).not_to_be_empty()
    for name in ("valley.jpg", "ridge.jpg", "morning.jpg"):
        expect(desk.get_by_alt_text(f"Preview of {name}")).not_to_have_js_property("naturalWidth", 0)
    expect(desk.get_by_role("link", name="contact-sheet.jpg")).to_be_visible(timeout=AT_WORK_MS)
    picture(desk, "job")


def watch_the_graph(desk: Page) -> str:
    """Follow the workflow to its end, where the mail has failed; return its address."""
    desk.get_by_role("link", name="Workflow graph").click()
    expect(desk.locator(".standing")).to_contain_text("1 failed", timeout=AT_WORK_MS)
    expect(desk.get_by_role("button", name=re.compile("email.send.*failed"))).to_be_visible()
    picture(desk, "workflow-failed")
    return desk.url


def mend_the_mail(on_call: Page, workflow: str, fleet: Fleet) -> None:
    """Find the dead letter of the mail, correct the address, replay it, and see the workflow done."""
    on_call.goto(f"{fleet.url}/#/dead")
    on_call.get_by_role("row", name="email.send").get_by_role("link").click()
    expect(on_call.locator("#main")).to_contain_text("550")
    arguments = on_call.get_by_label("Positional arguments")
    arguments.fill(arguments.input_value().replace(WRONG, RIGHT))
    picture(on_call, "dead-letter")
    on_call.get_by_role("button", name="Save and replay").click()
    on_call.get_by_role("dialog").get_by_role("button", name="Replay 1").click()
    expect(on_call.locator("#main .toolbar")).to_contain_text("replayed")
    wait_for(lambda: fleet.mails()[RIGHT] == 1, "the mail about the job")
    on_call.goto(workflow)
    expect(on_call.locator(".standing")).not_to_contain_text("failed", timeout=AT_WORK_MS)
    expect(on_call.get_by_role("button", name=re.compile("email.send.*done"))).to_be_visible()
    picture(on_call, "workflow")


def start_a_campaign(desk: Page) -> None:
    """Give a list with a row that can't be used, then the list without it."""
    desk.goto(f"{desk.url.split('#')[0]}#/campaigns")
    give_list(desk, [*readers(), "nobody"])
    desk.get_by_label("Template", exact=True).fill("newsletter")
    desk.get_by_label("Id", exact=True).fill(CAMPAIGN)
    desk.get_by_role("button", name="Start campaign").click()
    bad = desk.get_by_role("region", name="Rows that can't be used").locator("tbody tr")
    expect(bad).to_have_count(1)
    expect(bad).to_contain_text(f"{len(readers()) + 2}")
    picture(desk, "bad-rows")
    give_list(desk, readers())
    desk.get_by_role("button", name="Start campaign").click()
    expect(desk).to_have_url(re.compile(f"#/campaigns/{CAMPAIGN}$"))


def pause_it(desk: Page, on_call: Page, fleet: Fleet) -> None:
    """Pause the campaign on one screen, see it on the other, and that nothing more is sent."""
    on_call.goto(f"{fleet.url}/#/campaigns/{CAMPAIGN}")
    expect(on_call.locator(".figure")).to_have_text(re.compile(r"^[1-4]\d\d of "), timeout=AT_WORK_MS)
    on_call.get_by_role("button", name="Pause").click()
    expect(desk.locator("#main .toolbar .badge").first).to_have_text("paused")
    expect(desk.locator(".notice")).to_have_text("Paused. Nothing is under way.", timeout=AT_WORK_MS)
    decided = desk.locator(".figure").inner_text()
    sent = fleet.mails_of_campaign()
    assert 0 < sent < RECIPIENTS
    picture(desk, "campaign")
    run_what_takes_up_campaigns(on_call, fleet)
    assert fleet.mails_of_campaign() == sent
    expect(desk.locator(".figure")).to_have_text(decided)


def run_what_takes_up_campaigns(on_call: Page, fleet: Fleet) -> None:
    """Run the entry of the schedule that lets campaigns go on that stand still; a paused one is none."""
    on_call.goto(f"{fleet.url}/#/schedule")
    row = on_call.get_by_role("row", name=STALLED)
    row.get_by_role("button", name="History").click()
    row.get_by_role("button", name="Run now").click()
    with on_call.expect_response(re.compile("/run$")) as answered:
        on_call.get_by_role("dialog").get_by_role("button", name="Run now").click()
    run = on_call.get_by_role("region", name="History").get_by_role("row", name=answered.value.json()["task"])
    expect(run).to_contain_text("succeeded")
    picture(on_call, "schedule")


def resume_it(desk: Page, on_call: Page, fleet: Fleet) -> None:
    """Resume the campaign, and see it reach everybody once, but for those whom the relay refuses."""
    on_call.goto(f"{fleet.url}/#/campaigns/{CAMPAIGN}")
    on_call.get_by_role("button", name="Resume").click()
    expect(desk.locator("#main .toolbar .badge").first).to_have_text("running")
    on_call.goto(f"{fleet.url}/#/")
    expect(on_call.get_by_role("row", name="email.bulk").first).to_be_visible()
    expect(on_call.get_by_role("link", name="Campaigns running")).to_contain_text("1")
    picture(on_call, "overview")
    expect(desk.locator("#main .toolbar .badge").first).to_have_text("done", timeout=120_000)
    expect(desk.locator(".figure")).to_have_text(f"{len(readers())} of {len(readers())} recipients")
    failed = desk.get_by_role("region", name="Recipients").locator("tbody tr")
    expect(failed).to_have_text([re.compile(address) for address in UNREACHABLE])
    picture(desk, "campaign-done")
    mails = fleet.mails()
    assert {mails[address] for address in readers() if address not in UNREACHABLE} == {1}
    assert {mails[address] for address in UNREACHABLE} == {0}


def look_back(on_call: Page) -> None:
    """See what the fleet has done, and in the audit who did what."""
    base = on_call.url.split("#")[0]
    pages = {
        "queues": "email.bulk",
        "workers": "email.bulk@",
        "tasks": "email.send_chunk",
        "workflows": "email.validate_chunk",
    }
    for page, there in {**pages, "dead?replayed=all": "email.send"}.items():
        on_call.goto(f"{base}#/{page}")
        expect(on_call.locator("#main tbody").get_by_text(there).first).to_be_visible()
        picture(on_call, page.partition("?")[0])
    on_call.goto(f"{base}#/access")
    audit = on_call.get_by_role("region", name="Audit", exact=True)
    acts = (
        "submit job",
        "edit dead letter",
        "replay dead letters",
        "submit campaign",
        "pause campaign",
        "resume campaign",
    )
    for act in (*acts, "run schedule entry"):
        expect(audit.get_by_role("cell", name=act, exact=True).first).to_be_visible()
    picture(on_call, "audit")


def files() -> list[FilePayload]:
    pictures = {"valley.jpg": 3, "ridge.jpg": 10, "morning.jpg": 1}
    jpeg = [
        FilePayload(name=name, mimeType="image/jpeg", buffer=photograph(seed, 900, 600))
        for name, seed in pictures.items()
    ]
    table = "station,trains\n" + "".join(f"Station {number},{number * 7}\n" for number in range(200))
    return [
        *jpeg,
        FilePayload(name="story.txt", mimeType="text/plain", buffer=b"It was a dark and stormy night.\n" * 50),
        FilePayload(name="stations.csv", mimeType="text/csv", buffer=table.encode()),
        FilePayload(name="cut-short.json", mimeType="application/json", buffer=b'{"half": '),
    ]


def readers() -> list[str]:
    """Whom the campaign is for; those whom the relay refuses are among the first."""
    return [*UNREACHABLE, *(f"reader-{number:04}@example.org" for number in range(RECIPIENTS))]


def give_list(page: Page, addresses: list[str]) -> None:
    text = "email,name,headline\n" + "".join(f"{address},Reader,News from the yard\n" for address in addresses)
    file = FilePayload(name="readers.csv", mimeType="text/csv", buffer=text.encode())
    page.locator("form input[type=file]").set_input_files(file)


def picture(page: Page, name: str) -> None:
    """Keep a picture of a page, without what was said in passing."""
    page.locator(".toast").evaluate_all("toasts => toasts.forEach((toast) => toast.remove())")
    page.mouse.move(0, 0)
    shoot(page, f"a-day-{name}")
