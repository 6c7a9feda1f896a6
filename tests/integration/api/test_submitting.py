"""Work is taken in: once per idempotency key, whole or not at all, and steered afterwards."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from services.core.ledger.outbox import claim_due
from services.core.usecases.api_keys import Role
from services.core.usecases.list_work import list_campaigns, list_jobs
from services.core.usecases.release_chunks import release_chunks
from tests.fixtures.api import ApiProcess, problem

LIST = "email,name\nada@example.org,Ada\ngrace@example.org,Grace\n"
MAIL = {"to": "ada@example.org", "template": "welcome", "variables": {"name": "Ada"}}
MANY = 20


def submit_files(api: ApiProcess, *files: tuple[str, bytes], key: str = "", **fields: str):
    return api.post("/api/v1/jobs", Role.SENDER, key, files=[("files", file) for file in files], data=fields)


def waiting(api: ApiProcess, subject: str) -> int:
    """How many messages of something are in the outbox."""
    with api.ledger.writing() as session:
        now = api.ledger.clock()
        return sum(e.subject == subject for e in claim_due(session, now, timedelta(0), 1000))


def test_a_request_sent_again_gets_the_same_answer_and_does_nothing(api):
    first = api.post("/api/v1/mails", Role.SENDER, "mail-key", json=MAIL)
    again = api.post("/api/v1/mails", Role.SENDER, "mail-key", json=MAIL)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.headers["location"] == again.headers["location"] == first.json()["self"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert waiting(api, first.json()["id"]) == 1
    assert api.get(first.json()["self"]).json()["status"] == "queued"
    problem(api.post("/api/v1/mails", Role.SENDER, "mail-key", json={**MAIL, "to": "x@example.org"}), 422,
            "idempotency-key-reused")  # fmt: skip
    problem(api.client.post("/api/v1/mails", json=MAIL, headers=api.header(Role.SENDER)), 400,
            "idempotency-key-missing")  # fmt: skip


def test_two_people_may_think_of_the_same_key(api):
    campaign = api.send_csv(LIST, "shared", id="of-two").json()["id"]
    paused = api.post(f"/api/v1/campaigns/{campaign}/pause", Role.OPERATOR, "shared")
    assert paused.json()["state"] == "paused"


def test_of_many_at_once_with_the_same_key_one_is_carried_out(api):
    before = len(list_campaigns(api.ledger, limit=1000).entries)
    with ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda _: api.send_csv(LIST, "all at-once".replace(" ", "-"), again=True), range(MANY)))
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.json()["id"] for answer in accepted}) == 1
    for answer in answers:
        if answer.status_code != 202:
            problem(answer, 409, "under-way")
            assert int(answer.headers["retry-after"]) > 0
    assert sum("idempotent-replayed" not in answer.headers for answer in accepted) == 1
    assert len(list_campaigns(api.ledger, limit=1000).entries) == before + 1


def test_what_failed_may_be_sent_again_with_the_same_key(api):
    problem(api.post("/api/v1/campaigns/later/pause", Role.OPERATOR, "too-early"), 404, "unknown-id")
    assert api.send_csv(LIST, id="later").status_code == 202
    assert api.post("/api/v1/campaigns/later/pause", Role.OPERATOR, "too-early").json()["state"] == "paused"


def test_files_are_streamed_into_storage_and_become_a_job(api):
    large = bytes(range(256)) * 40_000  # 10 MB
    answer = submit_files(
        api, ("../../etc/pass\nwd", b"harmless"), ("photo\u00e9.jpg", large), key="files", notify="ada@example.org"
    )
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    listed = api.get(f"/api/v1/jobs/{job}/files").json()["entries"]
    assert [entry["bytes"] for entry in listed] == [8, len(large)]
    assert listed[1]["sha256"] == hashlib.sha256(large).hexdigest()
    stored = sorted((api.storage.root / "jobs" / job).rglob("*"))
    assert all(api.storage.root in path.resolve().parents for path in stored)
    assert [path.stat().st_size for path in stored if path.is_file()] == [8, len(large)]
    assert list((api.storage.root / "incoming").glob("*")) == []
    assert waiting(api, job) == 1
    shown = api.get(answer.headers["location"], Role.VIEWER).json()
    assert (shown["state"], shown["progress"]) == ("running", {"current": 0, "total": 2})
    assert "notify" not in shown


def test_the_same_files_again_are_the_same_job_whatever_the_boundary(api):
    first = submit_files(api, ("a.txt", b"one"), key="same-files")
    again = submit_files(api, ("a.txt", b"one"), key="same-files")
    assert first.json() == again.json()
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    problem(submit_files(api, ("a.txt", b"two"), key="same-files"), 422, "idempotency-key-reused")
    assert list((api.storage.root / "incoming").glob("*")) == []


def test_a_job_without_files_or_with_nobody_to_notify_leaves_nothing(api):
    jobs = list_jobs(api.ledger, limit=1000)
    problem(
        api.post("/api/v1/jobs", Role.SENDER, data={"notify": "x"}, files=[("notify", (None, "x"))]), 422, "no-files"
    )
    problem(submit_files(api, ("a.txt", b"text"), notify="nobody"), 422, "invalid-submission")
    problem(api.post("/api/v1/jobs", Role.SENDER, json={"files": []}), 415, "no-form")
    cut = {"Content-Type": "multipart/form-data; boundary=b"}
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhalf'
    problem(api.post("/api/v1/jobs", Role.SENDER, headers=cut, content=body), 400, "malformed-form")
    assert list_jobs(api.ledger, limit=1000) == jobs
    assert list((api.storage.root / "incoming").glob("*")) == []
    assert not any(
        path.is_file() for path in (api.storage.root / "jobs").glob("*/in/*/a*") if b"half" in path.read_bytes()
    )


def test_every_bad_row_of_a_list_is_told_and_nothing_is_recorded(api):
    text = "email,name\nada@example.org,Ada\n,Bob\nnot an address,Carl\neve@example.org,Eve,extra\n"
    told = problem(api.send_csv(text, id="bad-rows", name="spring.csv"), 422, "bad-rows")
    assert [(row["line"], row["address"]) for row in told["rows"]] == [
        (3, ""),
        (4, "not an address"),
        (5, "eve@example.org"),
    ]
    assert all(row["reason"] for row in told["rows"])
    assert told["more_rows"] is False
    problem(api.get("/api/v1/campaigns/bad-rows"), 404, "unknown-id")
    many = "email\n" + "nobody\n" * 150
    told = problem(api.send_csv(many), 422, "bad-rows")
    assert (len(told["rows"]), told["more_rows"]) == (100, True)
    problem(api.send_csv("name\nAda\n"), 422, "invalid-submission")
    problem(api.post("/api/v1/campaigns?template=x", Role.SENDER, json=[]), 415, "no-csv")
    recorded = api.send_csv(text.replace(",extra", ""), id="bad-rows", bad_rows="record")
    assert (recorded.json()["new"], recorded.json()["without_address"]) == (3, 1)


def test_a_list_that_was_mailed_already_is_not_mailed_again_by_chance(api):
    fresh = "email\nonly@example.org\n"
    first = api.send_csv(fresh).json()["id"]
    assert problem(api.send_csv(fresh), 409, "campaign-seems-repeated")["campaign"] == first
    assert api.send_csv(fresh, again=True).json()["id"] != first
    problem(api.send_csv(fresh, id=first, template="welcome"), 409, "template-differs")


def test_a_campaign_is_paused_resumed_and_cancelled(api):
    path = f"/api/v1/campaigns/{api.send_csv(LIST, id='steered').json()['id']}"
    assert waiting(api, "steered") == 1
    assert api.post(f"{path}/pause").json()["state"] == "paused"
    assert release_chunks(api.ledger, "steered", 8) == []
    assert api.post(f"{path}/resume").json()["state"] == "running"
    assert waiting(api, "steered") == 2
    [chunk] = release_chunks(api.ledger, "steered", 8)
    assert len(chunk["recipients"]) == 2
    more = LIST + "late@example.org,Late\n"
    assert api.send_csv(more, id="steered").json()["new"] == 1
    cancelled = api.post(f"{path}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert (cancelled["counts"]["pending"], cancelled["counts"]["cancelled"]) == (2, 1)
    problem(api.post(f"{path}/resume"), 409, "wrong-state")
    problem(api.send_csv(more, id="steered"), 409, "wrong-state")
    listed = api.get(f"{path}/recipients", params={"status": ["cancelled"]}).json()["entries"]
    assert [entry["address"] for entry in listed] == ["late@example.org"]


def test_a_job_is_cancelled_though_no_broker_can_be_told(api):
    job = submit_files(api, ("a.txt", b"text")).json()["id"]
    cancelled = api.post(f"/api/v1/jobs/{job}/cancel", Role.SENDER)
    assert cancelled.status_code == 200, cancelled.text
    assert cancelled.json()["state"] == "cancelled"
    assert cancelled.json()["counts"]["failed"] == 1
    assert waiting(api, job) == 0
    assert api.post(f"/api/v1/jobs/{job}/cancel").json()["state"] == "cancelled"


def test_requests_are_counted_by_route_and_never_by_path(api):
    api.get("/api/v1/jobs/some-job")
    api.client.get("/made-up-by-somebody")
    told = api.client.get("/metrics").text
    assert 'switchyard_api_requests_total{method="GET",route="/api/v1/jobs/{job_id}",status="404"}' in told
    assert 'route="unmatched"' in told
    assert "some-job" not in told
    assert "made-up" not in told
    assert "process_open_fds" in told


def test_lists_are_pages(api):
    made = [submit_files(api, (f"{number}.txt", b"text")).json()["id"] for number in range(3)]
    first = api.get("/api/v1/jobs", params={"limit": 2}).json()
    second = api.get("/api/v1/jobs", params={"limit": 2, "after": first["after"]}).json()
    assert [entry["id"] for entry in first["entries"] + second["entries"]][:3] == sorted(made, reverse=True)
    names = [f"page-{number}" for number in range(3)]
    for name in names:
        api.send_csv(LIST, id=name)
    page = api.get("/api/v1/campaigns", params={"limit": 2}).json()
    rest = api.get("/api/v1/campaigns", params={"limit": 1, "after": page["after"]}).json()
    assert [entry["id"] for entry in page["entries"] + rest["entries"]] == names[::-1]


@pytest.mark.parametrize("wanted", ["/api/v1/jobs/nothing", "/api/v1/campaigns/nothing", "/api/v1/mails/nothing"])
def test_what_is_not_there_is_a_problem(api, wanted):
    told = problem(api.get(wanted), 404, "unknown-id")
    assert "nothing" in told["detail"]
