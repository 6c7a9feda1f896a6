"""What ended long ago leaves the ledger, in batches; what is open stays, however old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from services.core.ledger.errors import UnknownId
from services.core.ledger.models import Base, Campaign, CampaignRecipient, File, Job, SingleMail
from services.core.usecases import clean_ledger as cleaning
from services.core.usecases.clean_artefacts import clean_artefacts
from services.core.usecases.clean_ledger import clean_ledger
from services.core.usecases.merge_job import merge_job
from services.core.usecases.overview import campaign_overview, job_overview
from services.core.usecases.record_chunk import record_chunk
from services.core.usecases.record_mail import record_mail
from services.core.usecases.release_chunks import release_chunks
from services.core.usecases.submit_campaign import submit_campaign
from services.core.usecases.submit_files import submit_files
from services.core.usecases.submit_mail import submit_mail
from tests.integration.test_ledger_campaigns import numbered, people, sent
from tests.unit.core.reports import done

__all__ = ["people"]

YEAR = timedelta(days=365)


def count(ledger, model) -> int:
    with ledger.reading() as session:
        return int(session.scalar(select(func.count()).select_from(model)) or 0)


def rows(ledger) -> int:
    return sum(count(ledger, mapper.class_) for mapper in Base.registry.mappers)


def a_job(ledger, storage, tmp_path, *, ended: bool) -> str:
    for name in "abc":
        (tmp_path / name).write_text(name)
    job = submit_files(ledger, storage, [tmp_path / name for name in "abc"])
    if ended:
        merge_job(ledger, storage, [done(file["file_id"], file["name"]) for file in job.files], job.job_id)
    return job.job_id


def a_campaign(ledger, path, name: str, *, ended: bool) -> None:
    submit_campaign(ledger, path, "news", name, chunk_size=4)
    for chunk in release_chunks(ledger, name, window=3):
        if ended or chunk["number"] == 1:
            record_chunk(ledger, sent(chunk))


def a_mail(ledger, *, ended: bool) -> str:
    mail_id = str(submit_mail(ledger, "ada@example.org", "welcome", {})["key"])
    if ended:
        record_mail(ledger, {"to": "ada@example.org", "status": "sent", "reason": None, "message_id": "<1@x>"}, mail_id)
    return mail_id


def test_what_ended_long_ago_goes_and_all_else_stays(ledger, storage, clock, people, tmp_path, monkeypatch):
    monkeypatch.setattr(cleaning, "ROWS_AT_ONCE", 2)
    old_job = a_job(ledger, storage, tmp_path, ended=True)
    open_job = a_job(ledger, storage, tmp_path, ended=False)
    a_campaign(ledger, people(*numbered(11)), "old", ended=True)
    a_campaign(ledger, people(*numbered(12), name="more.csv"), "open", ended=False)
    old_mail, open_mail = a_mail(ledger, ended=True), a_mail(ledger, ended=False)
    clock.forward(days=364)
    a_campaign(ledger, people(*numbered(13), name="most.csv"), "young", ended=True)
    young_job, young_mail = a_job(ledger, storage, tmp_path, ended=True), a_mail(ledger, ended=True)
    clock.forward(days=1, seconds=1)
    clean_artefacts(ledger, storage, timedelta(days=30))

    before = rows(ledger)
    removed = clean_ledger(ledger, YEAR)
    assert removed == (1 + 3) + (1 + 3 + 11) + 1
    assert rows(ledger) == before - removed
    with ledger.reading() as session:
        assert set(session.scalars(select(Job.id))) == {open_job, young_job}
        assert set(session.scalars(select(Campaign.id))) == {"open", "young"}
        assert set(session.scalars(select(SingleMail.id))) == {open_mail, young_mail}
    assert (count(ledger, File), count(ledger, CampaignRecipient)) == (6, 25)
    for name, ask in ((old_job, job_overview), ("old", campaign_overview)):
        with pytest.raises(UnknownId):
            ask(ledger, name)
    assert old_mail not in (open_mail, young_mail)
    assert clean_ledger(ledger, YEAR) == 0


def test_a_job_stays_until_its_files_are_removed_from_storage(ledger, storage, clock, tmp_path):
    job_id = a_job(ledger, storage, tmp_path, ended=True)
    clock.forward(days=400)
    assert clean_ledger(ledger, YEAR) == 0
    assert clean_artefacts(ledger, storage, timedelta(days=30)) == [job_id]
    assert clean_ledger(ledger, YEAR) == 4


def test_what_there_is_no_time_for_is_left_for_the_next_call(ledger, storage, clock, tmp_path):
    job_id = a_job(ledger, storage, tmp_path, ended=True)
    clock.forward(days=400)
    assert clean_artefacts(ledger, storage, timedelta(days=30), within=-1) == []
    assert clean_artefacts(ledger, storage, timedelta(days=30)) == [job_id]
    assert clean_ledger(ledger, YEAR, within=-1) == 0
    assert clean_ledger(ledger, YEAR) == 4


def test_more_jobs_than_are_asked_for_at_once_are_cleaned_in_one_call(ledger, storage, clock, tmp_path, monkeypatch):
    monkeypatch.setattr("services.core.usecases.clean_artefacts.JOBS_AT_ONCE", 2)
    jobs = {a_job(ledger, storage, tmp_path, ended=True) for _ in range(5)}
    clock.forward(days=31)
    assert set(clean_artefacts(ledger, storage, timedelta(days=30))) == jobs
