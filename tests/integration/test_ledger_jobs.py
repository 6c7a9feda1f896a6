"""Jobs and single mails in the ledger: from submission to what is handed over."""

from __future__ import annotations

import csv
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
import pyvips

from services.core.ledger.errors import InvalidSubmission, LedgerUnavailable, UnknownId
from services.core.ledger.states import State
from services.core.usecases.clean_artefacts import clean_artefacts
from services.core.usecases.fail_file import fail_file
from services.core.usecases.fail_job import fail_job
from services.core.usecases.fail_mail import fail_mail
from services.core.usecases.list_entries import list_files
from services.core.usecases.list_work import list_jobs
from services.core.usecases.merge_job import merge_job
from services.core.usecases.overview import job_overview, mail_overview, overview
from services.core.usecases.record_file import record_file
from services.core.usecases.record_mail import record_mail
from services.core.usecases.submit_files import SubmittedJob, submit_files
from services.core.usecases.submit_mail import submit_mail
from shared.storage import digest
from tests.unit.core.reports import done, failed


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    (folder / "photos" / ".cache").mkdir(parents=True)
    (folder / "photos" / "a 1.png").write_bytes(b"not really a picture")
    (folder / "photos" / ".hidden").write_bytes(b"")
    (folder / "photos" / ".cache" / "x.png").write_bytes(b"")
    (folder / "note.txt").write_text("Hello")
    return folder


@pytest.fixture
def job(ledger, storage, inbox) -> SubmittedJob:
    return submit_files(ledger, storage, [inbox / "note.txt", inbox / "photos"], "ada@example.org")


def reports_of(job: SubmittedJob, *statuses: str):
    make = {"done": done, "failed": failed}
    return [make[status](file["file_id"], file["name"]) for status, file in zip(statuses, job.files, strict=True)]


def test_submitted_files_are_copied_and_recorded_with_what_it_takes_to_process_them(ledger, storage, inbox, job):
    assert job.job_id.startswith("job-20261121-")
    assert [file["name"] for file in job.files] == ["note.txt", "a 1.png"]
    second = job.files[1]
    assert second["source"] == f"jobs/{job.job_id}/in/{second['file_id']}/a_1.png"
    assert storage.path(second["source"]).read_bytes() == b"not really a picture"
    assert second["destination"] == f"jobs/{job.job_id}/out/{second['file_id']}"
    told = job_overview(ledger, job.job_id)
    assert (told.kind, told.state, told.notify) == ("job", State.RUNNING, "ada@example.org")
    assert (told.progress.current, told.progress.total, told.outputs) == (0, 2, ())
    entry = told.files.entries[0]
    assert (entry.name, entry.status) == ("note.txt", State.WAITING)
    assert (entry.bytes, entry.sha256) == digest(inbox / "note.txt")


def test_a_file_that_is_named_twice_is_processed_once(ledger, storage, inbox):
    job = submit_files(ledger, storage, [inbox, inbox / "note.txt", inbox / "photos"])
    assert [file["name"] for file in job.files] == ["note.txt", "photos/a 1.png"]


def test_a_name_that_is_no_utf8_is_stored_and_recorded(ledger, storage, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_text("Hello")
    [file] = submit_files(ledger, storage, [path]).files
    assert file["name"] == "caf\N{REPLACEMENT CHARACTER}.txt"
    assert storage.path(file["source"]).read_text() == "Hello"


@pytest.mark.parametrize(
    ("names", "notify", "message"),
    [
        (["note.txt", "missing.txt", "gone.txt"], None, r"missing\.txt, .*gone\.txt"),
        (["photos/.cache/empty"], None, "no file to process"),
        (["pipe"], None, "pipes"),
        (["note.txt"], "ada at example", "'ada at example' cannot be notified"),
    ],
)
def test_what_cannot_be_submitted_is_refused_and_leaves_nothing(
    ledger, storage, inbox, tmp_path, names, notify, message
):
    (inbox / "photos" / ".cache" / "empty").mkdir()
    os.mkfifo(inbox / "pipe")
    with pytest.raises(InvalidSubmission, match=message):
        submit_files(ledger, storage, [inbox / name for name in names], notify)
    assert not (tmp_path / "storage").exists()


def test_copies_of_a_job_that_cannot_be_recorded_are_removed(ledger, storage, inbox, tmp_path, monkeypatch):
    def out_of_reach(*_arguments):
        raise LedgerUnavailable("it is gone")

    monkeypatch.setattr("services.core.usecases.submit_files.add_job", out_of_reach)
    with pytest.raises(LedgerUnavailable):
        submit_files(ledger, storage, [inbox / "note.txt"])
    assert list((tmp_path / "storage" / "jobs").iterdir()) == []


def test_reports_are_recorded_once_and_success_outlasts_failure(ledger, job, clock):
    first, second = job.files
    fail_file(ledger, job.job_id, first["file_id"], "The worker was killed.")
    record_file(ledger, failed(second["file_id"], "a 1.png"), job.job_id)
    before = list_files(ledger, job.job_id, limit=9)
    clock.forward(minutes=1)
    record_file(ledger, failed(second["file_id"], "a 1.png", "another reason"), job.job_id)
    fail_file(ledger, job.job_id, second["file_id"], "too late")
    assert list_files(ledger, job.job_id, limit=9) == before
    assert [entry.reason for entry in before.entries] == ["The worker was killed.", "The file is truncated."]

    good = done(first["file_id"], "note.txt", "jobs/x/preview.jpg", members=[failed("m1", "inner.png")])
    record_file(ledger, good, job.job_id)
    fail_file(ledger, job.job_id, first["file_id"], "too late")
    entry = list_files(ledger, job.job_id, status=State.DONE, limit=9).entries[0]
    assert (entry.reason, entry.artefacts, entry.members) == (None, good["artefacts"], good["members"])
    assert (entry.facts, entry.seconds, entry.kind) == (good["facts"], 0.25, "image")


def test_a_report_of_a_file_that_the_job_does_not_have_is_refused_and_records_nothing(ledger, storage, job, inbox):
    other = submit_files(ledger, storage, [inbox / "note.txt"])
    foreign = done(other.files[0]["file_id"], "note.txt")
    with pytest.raises(UnknownId):
        record_file(ledger, foreign, job.job_id)
    with pytest.raises(UnknownId):
        merge_job(ledger, storage, [*reports_of(job, "done", "done"), foreign], job.job_id)
    with pytest.raises(UnknownId):
        fail_file(ledger, job.job_id, foreign["file_id"], "no such file")
    assert job_overview(ledger, job.job_id).progress.current == 0


def test_a_merged_job_hands_over_manifests_a_contact_sheet_and_a_mail(ledger, storage, job, clock):
    preview = f"{job.files[0]['destination']}/preview.png"
    storage.path(preview).parent.mkdir(parents=True)
    pyvips.Image.black(64, 48, bands=3).write_to_file(str(storage.path(preview)))
    good = done(job.files[0]["file_id"], "note.txt", preview)
    bad = failed(job.files[1]["file_id"], "a 1.png")
    clock.forward(minutes=2)
    mail = merge_job(ledger, storage, [good, bad], job.job_id)

    told = job_overview(ledger, job.job_id)
    assert (told.state, told.finished_at) == (State.DONE_WITH_FAILURES, clock.now)
    assert (told.counts[State.DONE], told.counts[State.FAILED], told.progress.current) == (1, 1, 2)
    manifest, table, sheet = (storage.path(output) for output in told.outputs)
    assert json.loads(manifest.read_text())["files"] == [good, bad]
    with table.open(newline="") as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["", "The file is truncated."]
    assert pyvips.Image.new_from_file(str(sheet)).width > 500
    assert mail == {
        "to": "ada@example.org",
        "template": "job-done",
        "variables": {
            "job_id": job.job_id,
            "done": 1,
            "failed": 1,
            "failures": [{"name": "a 1.png", "reason": "The file is truncated."}],
            "manifest": told.outputs[0],
            "contact_sheet": told.outputs[2],
        },
        "key": f"{job.job_id}:done",
    }


def test_merging_again_gives_the_same_files_the_same_mail_and_the_same_record(ledger, storage, job, clock):
    reports = reports_of(job, "done", "done")
    mail = merge_job(ledger, storage, reports, job.job_id)
    told = job_overview(ledger, job.job_id)
    contents = [digest(storage.path(output)) for output in told.outputs]
    clock.forward(hours=1)
    assert merge_job(ledger, storage, reports, job.job_id) == mail
    assert job_overview(ledger, job.job_id) == told
    assert [digest(storage.path(output)) for output in told.outputs] == contents
    assert told.state is State.DONE


def test_a_file_without_a_report_is_recorded_as_failed(ledger, storage, job):
    merge_job(ledger, storage, reports_of(job, "done", "done")[:1], job.job_id)
    told = job_overview(ledger, job.job_id)
    assert told.state is State.DONE_WITH_FAILURES
    assert told.files.entries[1].reason == "The processing of this file came back without a report."


def test_a_job_that_fails_hands_over_what_there_is_and_can_still_be_merged(ledger, storage, job):
    good, also_good = reports_of(job, "done", "done")
    record_file(ledger, good, job.job_id)
    mail = fail_job(ledger, storage, job.job_id, "A worker was killed three times.")
    assert mail is not None
    told = job_overview(ledger, job.job_id)
    assert (told.state, told.reason) == (State.FAILED, "A worker was killed three times.")
    assert told.files.entries[1].reason == "The job ended before this file: A worker was killed three times."
    assert (mail["variables"]["done"], mail["variables"]["failed"]) == (1, 1)

    merge_job(ledger, storage, [good, also_good], job.job_id)
    told = job_overview(ledger, job.job_id)
    assert (told.state, told.reason) == (State.DONE, None)
    fail_job(ledger, storage, job.job_id, "too late")
    assert job_overview(ledger, job.job_id) == told


def test_a_job_that_nobody_asked_to_be_told_of_has_no_mail_and_a_long_list_of_failures_is_cut(
    ledger, storage, tmp_path
):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02}.txt").touch()
    quiet = submit_files(ledger, storage, [folder])
    assert merge_job(ledger, storage, reports_of(quiet, *["failed"] * 30), quiet.job_id) is None
    loud = submit_files(ledger, storage, [folder], "ada@example.org")
    mail = merge_job(ledger, storage, reports_of(loud, *["failed"] * 30), loud.job_id)
    assert mail is not None
    failures = mail["variables"]["failures"]
    assert len(failures) == 26
    assert failures[-1] == {"name": "and 5 more", "reason": "see the manifest"}


def test_hostile_names_of_members_do_not_stop_a_job(ledger, storage, job):
    member = failed("m1", "half \ud800 zero \0 <b>&.png", "bad \udcff reason")
    reports = [done(job.files[0]["file_id"], "note.txt", members=[member]), reports_of(job, "done", "done")[1]]
    merge_job(ledger, storage, reports, job.job_id)
    assert job_overview(ledger, job.job_id).state is State.DONE


def test_files_of_a_job_are_listed_page_by_page(ledger, job):
    page = list_files(ledger, job.job_id, limit=1)
    assert [entry.name for entry in page.entries] == ["note.txt"]
    rest = list_files(ledger, job.job_id, after=page.after, limit=1)
    assert ([entry.name for entry in rest.entries], rest.after) == (["a 1.png"], None)
    assert job_overview(ledger, job.job_id, limit=0).files.entries == ()
    [line] = list_jobs(ledger, limit=9).entries
    assert line.counts == {State.WAITING: 2, State.DONE: 0, State.FAILED: 0}


def test_old_jobs_are_cleaned_out_of_storage_and_stay_in_the_ledger(ledger, storage, job, inbox, clock):
    merge_job(ledger, storage, reports_of(job, "done", "done"), job.job_id)
    running = submit_files(ledger, storage, [inbox / "note.txt"])
    clock.forward(days=20)
    recent = submit_files(ledger, storage, [inbox / "note.txt"])
    merge_job(ledger, storage, reports_of(recent, "done"), recent.job_id)
    clock.forward(days=20)
    assert clean_artefacts(ledger, storage, timedelta(days=30)) == [job.job_id]
    assert clean_artefacts(ledger, storage, timedelta(days=30)) == []
    assert {path.name for path in storage.path("jobs/x").parent.iterdir()} == {running.job_id, recent.job_id}
    told = job_overview(ledger, job.job_id)
    assert (told.state, told.cleaned_at, told.outputs) == (State.DONE, clock.now, ())
    assert told.progress.current == 2


def submitted(ledger, template: str, variables: dict[str, str]) -> str:
    mail = submit_mail(ledger, "ada@example.org", template, variables)
    assert (mail["to"], mail["template"], mail["variables"]) == ("ada@example.org", template, variables)
    return str(mail["key"])


@pytest.mark.parametrize("status", ["sent", "invalid", "failed", "unknown"])
def test_a_single_mail_is_recorded_with_its_outcome_and_without_its_variables(ledger, clock, status):
    mail_id = submitted(ledger, "password-reset", {"link": "secret"})
    assert mail_overview(ledger, mail_id).status is State.QUEUED
    clock.forward(seconds=3)
    record_mail(ledger, {"to": "ada@example.org", "status": status, "reason": "why", "message_id": "<1@x>"}, mail_id)
    told = mail_overview(ledger, mail_id)
    fail_mail(ledger, mail_id, "too late")
    assert mail_overview(ledger, mail_id) == told
    assert (told.kind, told.status, told.reason, told.message_id) == ("mail", status, "why", "<1@x>")
    assert told.finished_at == told.created_at + timedelta(seconds=3)
    assert "secret" not in repr(told)


def test_a_mail_that_failed_as_a_task_may_still_turn_out_sent(ledger):
    mail_id = submitted(ledger, "welcome", {})
    fail_mail(ledger, mail_id, "The worker was killed.")
    assert mail_overview(ledger, mail_id).reason == "The worker was killed."
    record_mail(ledger, {"to": "ada@example.org", "status": "sent", "reason": None, "message_id": "<1@x>"}, mail_id)
    assert (mail_overview(ledger, mail_id).status, mail_overview(ledger, mail_id).reason) == (
        State.SENT,
        None,
    )


def test_an_unknown_id_is_answered_with_the_closest_one(ledger, job):
    mistyped = job.job_id.replace("job", "jbo")
    with pytest.raises(UnknownId, match=f"Did you mean '{job.job_id}'"):
        overview(ledger, mistyped)
    for action in (
        lambda: list_files(ledger, mistyped, limit=1),
        lambda: record_mail(ledger, {"to": "", "status": "sent", "reason": None, "message_id": None}, mistyped),
        lambda: fail_mail(ledger, mistyped, "why"),
    ):
        with pytest.raises(UnknownId, match=mistyped):
            action()
