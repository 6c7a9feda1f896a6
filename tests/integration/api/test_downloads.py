"""What a job made is downloaded, and nothing else of the machine."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from services.core.ledger.jobs import end_job, record_reports
from services.core.ledger.states import State
from services.core.usecases.api_keys import Role
from services.core.usecases.job_folder import JobFolder
from tests.fixtures.api import problem

PICTURE = b"\xff\xd8 a picture"
EVIL = 'a"b\r\nX-Injected: yes\r\n\r\n<script>é.html'


@pytest.fixture
def job(api) -> tuple[str, str]:
    """A job with one processed file and an artefact; its worker is played by the test."""
    answer = api.post("/api/v1/jobs", Role.SENDER, files=[("files", (EVIL, b"<script>alert(1)</script>"))])
    job_id, file_id = answer.json()["id"], answer.json()["files"][0]["id"]
    folder = JobFolder(job_id)
    with api.storage.writing(folder.artefacts(file_id)) as output:
        output.write("preview", "preview.jpg", "image/jpeg", PICTURE)
        with output.below("members/1") as inner:
            inner.write("preview", "inner.jpg", "image/jpeg", PICTURE)
    report: Any = {
        "file_id": file_id, "name": "x", "status": "done", "reason": None, "kind": "image", "media_type": "text/html",
        "bytes": 1, "sha256": None, "seconds": 0.1, "facts": {}, "artefacts": output.artefacts,
        "members": [{"artefacts": inner.artefacts}],
    }  # fmt: skip
    api.storage.path(folder.manifest_json).write_text(json.dumps({"job": job_id}))
    with api.ledger.writing() as session:
        record_reports(session, job_id, [report], api.ledger.clock())
        end_job(session, job_id, State.DONE, api.ledger.clock())
    return job_id, file_id


def test_artefacts_are_downloaded_by_the_addresses_that_the_list_gives(api, job):
    job_id, _ = job
    [entry] = api.get(f"/api/v1/jobs/{job_id}/files").json()["entries"]
    paths = [entry["artefacts"][0]["self"], entry["members"][0]["artefacts"][0]["self"]]
    for path in paths:
        answer = api.get(path)
        assert answer.content == PICTURE
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-disposition"].startswith("attachment")
        problem(api.get(path, Role.VIEWER), 403, "not-allowed")
    part = api.client.get(paths[0], headers={**api.header(Role.SENDER), "Range": "bytes=0-1"})
    assert (part.status_code, part.content) == (206, PICTURE[:2])


def test_outputs_are_named_by_the_job(api, job):
    job_id, _ = job
    outputs = api.get(f"/api/v1/jobs/{job_id}", Role.VIEWER).json()["outputs"]
    assert api.get(outputs[0]).json() == {"job": job_id}
    problem(api.get(outputs[2]), 410, "gone")
    problem(api.get(f"/api/v1/jobs/{job_id}/outputs/ledger.db"), 404, "unknown-path")


def test_a_name_that_somebody_made_up_is_harmless_in_the_header_and_a_page_is_no_page_of_ours(api, job):
    job_id, file_id = job
    answer = api.get(f"/api/v1/jobs/{job_id}/files/{file_id}/original")
    assert answer.content == b"<script>alert(1)</script>"
    assert "x-injected" not in answer.headers
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert not set(disposition) & set("\r\n<>")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "inner",
    [
        "../../../../ledger.db", "..%2f..%2f..%2f..%2fledger.db", "%2e%2e/%2e%2e/%2e%2e/ledger.db", "/etc/passwd",
        "%2fetc%2fpasswd", "..\\..\\ledger.db", "preview.jpg%00", "members%2f..%2fpreview.jpg",
        "preview.jpg/", "%252e%252e/ledger.db", quote("preview.jpg\r\nX: y"),
    ],
)  # fmt: skip
def test_no_other_path_leads_anywhere(api, job, inner):
    job_id, file_id = job
    for place in (f"files/{file_id}/artefacts", "outputs", "files"):
        answer = api.get(f"/api/v1/jobs/{job_id}/{place}/{inner}")
        assert answer.status_code in (404, 405), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_link_out_of_the_storage_is_not_followed(api, job, tmp_path):
    job_id, file_id = job
    secret = tmp_path / "secret"
    secret.write_text("secret")
    place = api.storage.path(f"{JobFolder(job_id).artefacts(file_id)}/preview.jpg")
    place.unlink()
    place.symlink_to(secret)
    problem(api.get(f"/api/v1/jobs/{job_id}/files/{file_id}/artefacts/preview.jpg"), 404, "unknown-path")


def test_a_file_of_another_job_is_not_found_in_this_one(api, job):
    _, file_id = job
    other = api.post("/api/v1/jobs", Role.SENDER, files={"files": ("a.txt", b"text")}).json()["id"]
    problem(api.get(f"/api/v1/jobs/{other}/files/{file_id}/original"), 404, "unknown-id")
