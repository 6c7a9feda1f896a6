"""Files are given, followed and fetched in a browser; the workers are played by the tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from examples.generators.photographs import photograph
from services.core.ledger.jobs import end_job, record_reports
from services.core.ledger.states import State
from services.core.usecases.api_keys import Role
from services.core.usecases.job_folder import JobFolder
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import PHONE, a_page, overflow_of, shoot, sign_in

HOSTILE = "<img src=x onerror='document.title=1'>.txt"
STORY = b"It was a dark and stormy night.\n"
SLOW_BYTES_PER_SECOND = 200_000
DROP = """(zone, [name, text]) => {
    const files = new DataTransfer();
    files.items.add(new File([text], name));
    zone.dispatchEvent(new DragEvent("dragenter", { dataTransfer: files, bubbles: true, cancelable: true }));
    zone.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


def text(name: str, content: bytes = STORY) -> FilePayload:
    return FilePayload(name=name, mimeType="text/plain", buffer=content)


@pytest.fixture
def sender(page: Page, api: ApiProcess) -> Page:
    sign_in(page, api.url, api.keys[Role.SENDER].secret, "#/jobs")
    return page


@pytest.fixture(scope="module")
def picture() -> bytes:
    return photograph(1, 320, 213)


def submitted(api: ApiProcess, *names: str) -> list[str]:
    """Submit files; return the ids of their job and of each of them."""
    answer = api.post("/api/v1/jobs", Role.SENDER, files=[("files", (name, b"content")) for name in names])
    assert answer.status_code == 202, answer.text
    return [answer.json()["id"], *(file["id"] for file in answer.json()["files"])]


def record(api: ApiProcess, job: str, file: str, name: str, picture: bytes | None, reason: str | None = None) -> None:
    """Play the worker of a file: it is done with a picture, or failed with a reason."""
    artefacts: Any = []
    if picture is not None:
        with api.storage.writing(JobFolder(job).artefacts(file)) as output:
            output.write("web", "web.jpg", "image/jpeg", picture)
            output.write("preview", "preview.jpg", "image/jpeg", picture)
        artefacts = output.artefacts
    report: Any = {
        "file_id": file, "name": name, "status": "failed" if reason else "done", "reason": reason, "kind": "image",
        "media_type": "image/jpeg", "bytes": 7, "sha256": "0" * 64, "seconds": 0.25, "facts": {"width": 320},
        "artefacts": artefacts,
    }  # fmt: skip
    with api.ledger.writing() as session:
        record_reports(session, job, [report], api.ledger.clock())


def end(api: ApiProcess, job: str, state: State) -> None:
    """Play what merges a job."""
    api.storage.path(JobFolder(job).manifest_csv).write_text("name\n")
    with api.ledger.writing() as session:
        end_job(session, job, state, api.ledger.clock())


def test_files_are_dropped_picked_and_left_out_and_the_rest_becomes_a_job(sender: Page, api: ApiProcess) -> None:
    sender.locator(".dropzone").evaluate(DROP, [HOSTILE, "dropped"])
    sender.locator("input[type=file]").set_input_files([text("story.txt"), text("twice.txt")])
    given = sender.get_by_role("region", name="Upload files").get_by_role("listitem")
    expect(given).to_have_text([re.compile(r"onerror"), re.compile("story.txt"), re.compile("twice.txt")])
    sender.get_by_role("button", name="Leave out twice.txt").click()
    expect(given).to_have_count(2)
    sender.get_by_label("Mail the outcome to").fill("ada@example.org")
    shoot(sender, "jobs-upload")
    sender.get_by_role("button", name="Upload 2 files").click()
    expect(sender).to_have_url(re.compile(r"#/jobs/job-\d{8}-"))
    job = sender.url.split("/")[-1]
    expect(sender.locator(".files .name")).to_have_text([HOSTILE, "story.txt"])
    stored = api.get(f"/api/v1/jobs/{job}/files").json()["entries"]
    assert [entry["name"] for entry in stored] == [HOSTILE, "story.txt"]
    assert stored[1]["bytes"] == len(STORY)


def test_an_upload_tells_how_far_it_is_and_leaves_nothing_when_it_is_cancelled(sender: Page, api: ApiProcess) -> None:
    before = api.get("/api/v1/jobs").json()["entries"]
    network = sender.context.new_cdp_session(sender)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SLOW_BYTES_PER_SECOND}
    network.send("Network.emulateNetworkConditions", slow)
    sender.locator("input[type=file]").set_input_files([text(f"{name}.txt", b"a" * 2_000_000) for name in "ab"])
    sender.get_by_role("button", name="Upload 2 files, 4 MB").click()
    expect(sender.locator(".how-far")).to_have_text(re.compile(r"^[\d.]+ [kM]B of 4 MB, "))
    sender.get_by_role("button", name="Cancel upload").click()
    expect(sender.get_by_role("alert")).to_have_text("The upload was cancelled. Nothing was submitted.")
    expect(sender.get_by_role("button", name="Upload 2 files")).to_be_visible()
    assert api.get("/api/v1/jobs").json()["entries"] == before


def test_what_the_api_refuses_is_told_and_the_files_are_still_there(sender: Page) -> None:
    sender.locator("input[type=file]").set_input_files(text("story.txt"))
    sender.get_by_label("Mail the outcome to").fill("nobody@nowhere")
    sender.get_by_role("button", name="Upload 1 file").click()
    expect(sender.get_by_role("alert")).to_contain_text("nobody@nowhere")
    expect(sender.get_by_role("button", name="Leave out story.txt")).to_be_visible()


def test_a_job_is_followed_live_with_pictures_reports_and_downloads(
    sender: Page, api: ApiProcess, picture: bytes
) -> None:
    job, good, bad = submitted(api, "valley.jpg", "bomb.png")
    sender.get_by_role("link", name=job).click()
    expect(sender.locator(".figure")).to_have_text("0 of 2 files")
    record(api, job, good, "valley.jpg", picture)
    expect(sender.locator(".figure")).to_have_text("1 of 2 files")
    thumbnail = sender.get_by_alt_text("Preview of valley.jpg")
    expect(thumbnail).to_have_js_property("naturalWidth", 320)
    entry = sender.locator(f"[data-file='{good}']")
    entry.get_by_text("Report and downloads").click()
    record(api, job, bad, "bomb.png", None, "The image claims 60,000 × 60,000 pixels.")
    end(api, job, State.DONE_WITH_FAILURES)
    expect(sender.locator("#main .toolbar .badge").first).to_have_text("done with failures")
    expect(sender.locator(f"[data-file='{bad}'] .reason")).to_have_text("The image claims 60,000 × 60,000 pixels.")
    expect(entry.locator("details")).to_have_attribute("open", "")
    expect(entry.get_by_text("320", exact=True)).to_be_visible()
    shoot(sender, "job")
    with sender.expect_download() as download:
        entry.get_by_role("link", name="original").click()
    assert download.value.path().read_bytes() == b"content"
    with sender.expect_download() as download:
        sender.get_by_role("link", name="manifest.csv").click()
    assert download.value.path().read_text() == "name\n"
    sender.get_by_role("button", name="Enlarge valley.jpg").click()
    expect(sender.get_by_role("dialog").get_by_alt_text("valley.jpg")).to_have_js_property("naturalWidth", 320)
    sender.keyboard.press("Escape")
    sender.get_by_role("region", name="Files").get_by_role("link", name="failed").click()
    expect(sender.locator(".files > li")).to_have_count(1)
    assert sender.url.endswith("?status=failed")
    expect(sender.get_by_role("link", name="Workflow graph")).to_have_attribute("href", f"#/workflows/{good}")


def test_a_job_is_cancelled_after_a_question(sender: Page, api: ApiProcess) -> None:
    job, _ = submitted(api, "late.txt")
    sender.get_by_role("link", name=job).click()
    sender.get_by_role("button", name="Cancel job").click()
    sender.get_by_role("dialog").get_by_role("button", name="Cancel", exact=True).click()
    assert api.get(f"/api/v1/jobs/{job}").json()["state"] == "running"
    sender.get_by_role("button", name="Cancel job").click()
    sender.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(sender.locator("#main .toolbar .badge").first).to_have_text("cancelled")
    expect(sender.get_by_role("button", name="Cancel job")).to_have_count(0)
    expect(sender.locator(".files .reason")).to_have_text(re.compile("cancelled before"))
    assert api.get(f"/api/v1/jobs/{job}").json()["state"] == "cancelled"


def test_the_list_shows_progress_and_is_filtered_by_state(sender: Page, api: ApiProcess, picture: bytes) -> None:
    job, first, _ = submitted(api, "one.jpg", "two.jpg")
    record(api, job, first, "one.jpg", picture)
    row = sender.get_by_role("row", name=job)
    expect(row).to_contain_text("1 of 2")
    sender.get_by_role("link", name="done with failures").click()
    expect(row).to_have_count(0)
    sender.get_by_role("link", name="running").click()
    expect(row).to_have_count(1)
    shoot(sender, "jobs")


def test_of_many_files_the_first_are_shown_and_the_others_when_they_are_asked_for(
    sender: Page, api: ApiProcess
) -> None:
    job, *files = submitted(api, *(f"{number}.txt" for number in range(60)))
    sender.get_by_role("link", name=job).click()
    shown, more = sender.locator(".files > li"), sender.get_by_role("button", name="Show more")
    expect(shown).to_have_count(50)
    more.click()
    expect(shown).to_have_count(len(files))
    expect(more).to_be_hidden()


def test_a_viewer_sees_progress_and_neither_files_nor_acts(page: Page, api: ApiProcess) -> None:
    job, _ = submitted(api, "secret-name.txt")
    sign_in(page, api.url, api.keys[Role.VIEWER].secret, "#/jobs")
    page.get_by_role("link", name=job).click()
    expect(page.locator(".figure")).to_have_text("0 of 1 file")
    expect(page.get_by_text("for senders and operators")).to_be_visible()
    assert "secret-name" not in page.content()
    expect(page.get_by_role("button", name="Cancel job")).to_have_count(0)
    page.goto(f"{api.url}/#/jobs")
    expect(page.get_by_role("row", name=job)).to_be_visible()
    expect(page.locator(".dropzone")).to_have_count(0)


@pytest.fixture
def phone(browser: Browser, api: ApiProcess) -> Iterator[Page]:
    with a_page(browser, viewport=PHONE, color_scheme="dark") as (page, _):
        sign_in(page, api.url, api.keys[Role.SENDER].secret, "#/jobs")
        yield page


def test_nothing_is_wider_than_a_phone(phone: Page, api: ApiProcess, picture: bytes) -> None:
    name = "a-very-long-name-of-a-file-" * 5 + ".jpg"
    job, file = submitted(api, name)
    record(api, job, file, name, picture)
    expect(phone.get_by_role("row", name=job)).to_be_visible()
    assert overflow_of(phone) == 0
    phone.goto(f"{api.url}/#/jobs/{job}")
    expect(phone.get_by_alt_text("Preview of")).to_have_js_property("naturalWidth", 320)
    phone.get_by_text("Report and downloads").click()
    assert overflow_of(phone) == 0
    shoot(phone, "job-phone")
