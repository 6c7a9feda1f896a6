"""Campaigns in the ledger: identity, windows of chunks, outcomes, and what two callers at once may do."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from services.core.ledger.campaigns import add_recipients
from services.core.ledger.engine import open_ledger
from services.core.ledger.errors import (
    CampaignSeemsRepeated,
    InvalidRecipientList,
    InvalidSubmission,
    TemplateDiffers,
    UnknownId,
)
from services.core.ledger.migrations import upgrade
from services.core.ledger.states import State
from services.core.usecases import submit_campaign as submitting
from services.core.usecases.fail_chunk import fail_chunk
from services.core.usecases.list_entries import NOT_SENT, list_recipients
from services.core.usecases.list_work import list_campaigns
from services.core.usecases.overview import campaign_overview
from services.core.usecases.record_chunk import record_chunk
from services.core.usecases.release_chunks import release_chunks
from services.core.usecases.stalled_campaigns import stalled_campaigns
from services.core.usecases.submit_campaign import submit_campaign
from shared.reports import Chunk
from shared.secret import SecretStr

ALL = 1000


@pytest.fixture
def people(tmp_path):
    """Write a list of recipients; each call gives a new file."""

    def write(*addresses: str, name: str = "people.csv") -> Path:
        path: Path = tmp_path / name
        path.write_text("email,name\n" + "".join(f"{address},{address[0]}\n" for address in addresses))
        return path

    return write


def numbered(count: int) -> list[str]:
    return [f"r{number:04}@example.org" for number in range(count)]


def sent(chunk: Chunk, **others: str) -> Chunk:
    """Give every recipient of a chunk an outcome: sent, but for those that are named by the part before @."""
    outcomes: list[Any] = []
    for recipient in chunk["recipients"]:
        status = others.get(recipient["address"].partition("@")[0], "sent")
        outcomes.append(
            {
                "recipient_id": recipient["recipient_id"],
                "to": recipient["address"],
                "status": status,
                "reason": None if status == "sent" else f"it was {status}",
                "message_id": f"<{recipient['recipient_id']}@x>" if status == "sent" else None,
            }
        )
    return {**chunk, "recipients": [], "outcomes": outcomes}


def addresses(chunks: list[Chunk]) -> list[str]:
    return [recipient["address"] for chunk in chunks for recipient in chunk["recipients"]]


def statuses(ledger, campaign_id: str) -> dict[str, str]:
    page = list_recipients(ledger, campaign_id, limit=ALL)
    return {entry.address: entry.status for entry in page.entries}


def test_a_campaign_goes_through_its_window_to_its_end(ledger, people, clock):
    submitted = submit_campaign(ledger, people(*numbered(23)), "news", "spring", chunk_size=5)
    assert (submitted.state, submitted.new) == (State.RUNNING, 23)
    first = release_chunks(ledger, "spring", window=2)
    assert [(chunk["number"], len(chunk["recipients"])) for chunk in first] == [(1, 5), (2, 5)]
    assert first[0]["template"] == "news"
    assert first[0]["recipients"][0]["variables"] == {"name": "r"}
    assert release_chunks(ledger, "spring", window=2) == []

    assert record_chunk(ledger, sent(first[1])) is State.RUNNING
    rest = release_chunks(ledger, "spring", window=4)
    assert [chunk["number"] for chunk in rest] == [3, 4, 5]
    assert sorted(addresses(first + rest)) == numbered(23)

    clock.forward(minutes=5)
    last = [record_chunk(ledger, sent(chunk)) for chunk in [first[0], *rest]][-1]
    assert last is State.DONE
    told = campaign_overview(ledger, "spring")
    assert (told.state, told.finished_at, told.progress.current) == (State.DONE, clock.now, 23)
    assert told.counts[State.SENT] == told.progress.total == 23
    assert told.chunks[State.DONE] == 5
    assert release_chunks(ledger, "spring", window=4) == []


def test_recording_a_chunk_again_changes_nothing_and_still_says_how_the_campaign_stands(ledger, people, clock):
    submit_campaign(ledger, people(*numbered(4)), "news", "spring", chunk_size=2)
    chunk, _ = release_chunks(ledger, "spring", window=2)
    report = sent(chunk, r0000="failed")
    record_chunk(ledger, report)
    before = list_recipients(ledger, "spring", limit=ALL)
    clock.forward(minutes=1)
    assert record_chunk(ledger, report) is State.RUNNING
    assert list_recipients(ledger, "spring", limit=ALL) == before


def test_the_same_id_again_sends_only_what_was_not_sent(ledger, people):
    submit_campaign(ledger, people("ok@x.org", "bad@x.org", "down@x.org", "open@x.org"), "news", "spring", chunk_size=4)
    [chunk] = release_chunks(ledger, "spring", window=8)
    assert record_chunk(ledger, sent(chunk, bad="invalid", down="failed", open="unknown")) is State.DONE

    everyone = people("new@x.org", "open@x.org", "down@x.org", "bad@x.org", "ok@x.org")
    again = submit_campaign(ledger, everyone, "news", "spring", chunk_size=4)
    assert (again.state, again.new, again.retried, again.unchanged) == (State.RUNNING, 1, 1, 3)
    chunks = release_chunks(ledger, "spring", window=8)
    assert sorted(addresses(chunks)) == ["down@x.org", "new@x.org"]
    assert [chunk["number"] for chunk in chunks] == [2]
    assert record_chunk(ledger, sent(chunks[0])) is State.DONE
    assert Counter(statuses(ledger, "spring").values()) == {"sent": 3, "invalid": 1, "unknown": 1}

    third = submit_campaign(ledger, everyone, "news", "spring", chunk_size=4)
    assert (third.state, third.new, third.retried) == (State.DONE, 0, 0)
    assert release_chunks(ledger, "spring", window=8) == []


def test_a_failed_recipient_is_only_tried_again_while_it_is_on_the_list_and_with_its_new_variables(ledger, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("email,name\nstay@x.org,\ngone@x.org,\n")
    submit_campaign(ledger, path, "news", "spring", chunk_size=4)
    [chunk] = release_chunks(ledger, "spring", window=1)
    record_chunk(ledger, sent(chunk, stay="failed", gone="failed"))
    path.write_text("email,name\nstay@X.org,Stacy\n")
    submit_campaign(ledger, path, "news", "spring", chunk_size=4)
    [chunk] = release_chunks(ledger, "spring", window=1)
    assert [(each["address"], each["variables"]) for each in chunk["recipients"]] == [("stay@X.org", {"name": "Stacy"})]
    assert statuses(ledger, "spring")["gone@x.org"] == State.FAILED


def test_the_same_id_while_it_is_under_way_adds_only_what_is_new(ledger, people):
    submit_campaign(ledger, people(*numbered(4)), "news", "spring", chunk_size=2)
    first = release_chunks(ledger, "spring", window=1)
    again = submit_campaign(ledger, people(*numbered(5)), "news", "spring", chunk_size=2)
    assert (again.state, again.new, again.unchanged) == (State.RUNNING, 1, 4)
    rest = release_chunks(ledger, "spring", window=8)
    assert sorted(addresses(first + rest)) == numbered(5)


def test_a_run_that_was_cut_off_is_completed_by_running_it_again(ledger, people, monkeypatch):
    monkeypatch.setattr(submitting, "BATCH", 4)
    original = add_recipients
    calls = []

    def cut_off(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(submitting, "add_recipients", cut_off)
    path = people(*numbered(11))
    with pytest.raises(KeyboardInterrupt):
        submit_campaign(ledger, path, "news", "spring", chunk_size=3)
    assert campaign_overview(ledger, "spring").state is State.LOADING
    assert release_chunks(ledger, "spring", window=8) == []

    completed = submit_campaign(ledger, path, "news", "spring", chunk_size=3)
    assert (completed.state, completed.new, completed.unchanged) == (State.RUNNING, 3, 8)
    chunks = release_chunks(ledger, "spring", window=8)
    assert sorted(addresses(chunks)) == numbered(11)
    assert [len(chunk["recipients"]) for chunk in chunks] == [3, 3, 3, 2]


def test_equal_addresses_are_one_recipient_also_across_batches(ledger, people, monkeypatch):
    monkeypatch.setattr(submitting, "BATCH", 2)
    path = people("a@x.org", "a@X.ORG", "b@x.org", "A@x.org", "a@x.org", "c@x.org", "b@X.org")
    submitted = submit_campaign(ledger, path, "news", "spring", chunk_size=3)
    assert (submitted.new, submitted.unchanged, submitted.duplicates) == (4, 0, 3)
    chunks = release_chunks(ledger, "spring", window=8)
    assert addresses(chunks) == ["a@x.org", "b@x.org", "A@x.org", "c@x.org"]
    assert [len(chunk["recipients"]) for chunk in chunks] == [3, 1]


def test_another_template_under_the_same_id_is_refused(ledger, people):
    submit_campaign(ledger, people("a@x.org"), "news", "spring", chunk_size=2)
    with pytest.raises(TemplateDiffers, match="'news', not 'sale'"):
        submit_campaign(ledger, people("a@x.org", "b@x.org"), "sale", "spring", chunk_size=2)
    assert list(statuses(ledger, "spring")) == ["a@x.org"]


def test_the_same_list_and_template_without_an_id_asks_and_with_one_goes_ahead(ledger, people):
    first = submit_campaign(ledger, people("a@x.org", "b@x.org"), "news", chunk_size=2)
    shuffled = people("b@X.org", "a@x.org", name="other.csv")
    with pytest.raises(CampaignSeemsRepeated, match=first.campaign_id) as caught:
        submit_campaign(ledger, shuffled, "news", chunk_size=2)
    assert caught.value.earlier == first.campaign_id
    assert submit_campaign(ledger, shuffled, "sale", chunk_size=2).new == 2
    assert submit_campaign(ledger, people("a@x.org"), "news", chunk_size=2).new == 1
    assert submit_campaign(ledger, shuffled, "news", "explicit", chunk_size=2).new == 2
    again = submit_campaign(ledger, shuffled, "news", again=True, chunk_size=2)
    assert again.new == 2
    assert again.campaign_id != first.campaign_id


@pytest.mark.parametrize("campaign_id", ["", "a b", "../x", "-x", "x" * 65, "job-20261121-x", "mail-x", "é"])
def test_an_id_that_cannot_be_one_is_refused(ledger, people, campaign_id):
    with pytest.raises(InvalidSubmission, match="cannot be the id of a campaign"):
        submit_campaign(ledger, people("a@x.org"), "news", campaign_id, chunk_size=2)


def test_a_list_with_a_malformed_last_row_records_nothing(ledger, people):
    path = people(*numbered(10))
    path.write_text(path.read_text() + "eve@x.org,Eve,surplus\n")
    with pytest.raises(InvalidRecipientList, match="line 12"):
        submit_campaign(ledger, path, "news", "spring", chunk_size=2)
    with pytest.raises(UnknownId):
        campaign_overview(ledger, "spring")


def test_a_chunk_that_fails_as_a_whole_fails_its_recipients_and_a_late_report_corrects_that(ledger, people):
    submit_campaign(ledger, people(*numbered(2)), "news", "spring", chunk_size=2)
    [chunk] = release_chunks(ledger, "spring", window=1)
    assert fail_chunk(ledger, "spring", 1, "The worker was killed.") is State.DONE
    told = campaign_overview(ledger, "spring")
    assert told.chunks[State.FAILED] == 1
    assert {entry.reason for entry in told.failures.entries} == {"The worker was killed."}
    record_chunk(ledger, sent(chunk, r0001="unknown"))
    assert statuses(ledger, "spring") == {"r0000@example.org": "sent", "r0001@example.org": "unknown"}
    assert campaign_overview(ledger, "spring").chunks[State.DONE] == 1
    fail_chunk(ledger, "spring", 1, "Too late.")
    assert statuses(ledger, "spring") == {"r0000@example.org": "sent", "r0001@example.org": "unknown"}


def test_a_late_report_of_an_old_chunk_spares_the_sent_a_second_mail_and_fails_nobody(ledger, people):
    submit_campaign(ledger, people(*numbered(3)), "news", "spring", chunk_size=3)
    [old] = release_chunks(ledger, "spring", window=1)
    fail_chunk(ledger, "spring", 1, "The worker was killed.")
    submit_campaign(ledger, people(*numbered(3)), "news", "spring", chunk_size=3)
    record_chunk(ledger, sent(old, r0001="failed"))
    [new] = release_chunks(ledger, "spring", window=1)
    assert addresses([new]) == ["r0001@example.org"]
    assert new["number"] == 2


def test_a_recipient_without_an_outcome_is_unknown_and_not_mailed_again(ledger, people):
    submit_campaign(ledger, people(*numbered(2)), "news", "spring", chunk_size=2)
    [chunk] = release_chunks(ledger, "spring", window=1)
    report = sent(chunk)
    assert record_chunk(ledger, {**report, "outcomes": report["outcomes"][:1]}) is State.DONE
    assert statuses(ledger, "spring") == {"r0000@example.org": "sent", "r0001@example.org": "unknown"}


def test_a_report_of_what_does_not_exist_is_refused_and_records_nothing(ledger, people):
    submit_campaign(ledger, people(*numbered(1)), "news", "spring", chunk_size=2)
    submit_campaign(ledger, people("other@x.org"), "news", "autumn", chunk_size=2)
    [chunk] = release_chunks(ledger, "spring", window=1)
    [foreign] = release_chunks(ledger, "autumn", window=1)
    mixed = sent({**chunk, "recipients": chunk["recipients"] + foreign["recipients"]})
    reports: list[Any] = [mixed, {**sent(chunk), "number": 7}, {**sent(chunk), "campaign_id": "winter"}]
    for report in reports:
        with pytest.raises(UnknownId):
            record_chunk(ledger, report)
    with pytest.raises(UnknownId):
        fail_chunk(ledger, "spring", 7, "no such chunk")
    assert statuses(ledger, "spring") == {"r0000@example.org": "pending"}


def test_a_chunk_whose_message_got_lost_is_released_again_once_it_is_stale(ledger, people, clock):
    submit_campaign(ledger, people(*numbered(4)), "news", "spring", chunk_size=2)
    lost, other = release_chunks(ledger, "spring", window=2)
    clock.forward(minutes=30)
    record_chunk(ledger, sent(other))
    assert stalled_campaigns(ledger, timedelta(minutes=45)) == []
    assert release_chunks(ledger, "spring", window=2, stale_after=timedelta(hours=1)) == []
    clock.forward(minutes=50)
    assert stalled_campaigns(ledger, timedelta(minutes=45)) == ["spring"]
    assert release_chunks(ledger, "spring", window=2, stale_after=timedelta(hours=1)) == [lost]
    assert stalled_campaigns(ledger, timedelta(minutes=45)) == []
    assert record_chunk(ledger, sent(lost)) is State.DONE


def test_recipients_are_listed_page_by_page_and_by_outcome(ledger, people):
    submit_campaign(ledger, people(*numbered(7)), "news", "spring", chunk_size=7)
    [chunk] = release_chunks(ledger, "spring", window=1)
    record_chunk(ledger, sent(chunk, r0002="failed", r0005="invalid"))
    page = list_recipients(ledger, "spring", limit=3)
    pages = [page.entries]
    while page.after is not None:
        page = list_recipients(ledger, "spring", after=page.after, limit=3)
        pages.append(page.entries)
    assert [entry.address for entry in chain(*pages)] == numbered(7)
    assert [len(page) for page in pages] == [3, 3, 1]
    failures = list_recipients(ledger, "spring", statuses=NOT_SENT, limit=9)
    assert [(entry.address, entry.status, entry.reason) for entry in failures.entries] == [
        ("r0002@example.org", "failed", "it was failed"),
        ("r0005@example.org", "invalid", "it was invalid"),
    ]
    assert campaign_overview(ledger, "spring", limit=0).recipients.entries == ()


def test_recipients_are_found_by_a_part_of_address_or_reason_taken_literally(ledger, people):
    submit_campaign(
        ledger, people("ada@example.org", "a_a@example.org", "grace@example.org"), "news", "found", chunk_size=3
    )
    [chunk] = release_chunks(ledger, "found", window=1)
    record_chunk(ledger, sent(chunk, grace="failed"))

    def found(text: str, **which: Any) -> list[str]:
        return [entry.address for entry in list_recipients(ledger, "found", text=text, limit=9, **which).entries]

    assert found("ADA@") == ["ada@example.org"]
    assert found("_") == ["a_a@example.org"]
    assert found("%") == []
    assert found("was FAILED") == ["grace@example.org"]
    assert found("example", statuses=NOT_SENT) == ["grace@example.org"]


def test_a_list_of_campaigns_counts_the_recipients_of_each(ledger, people):
    submit_campaign(ledger, people(*numbered(3)), "news", "first", chunk_size=3)
    submit_campaign(ledger, people("ada@example.org"), "news", "second", chunk_size=3)
    [chunk] = release_chunks(ledger, "first", window=1)
    record_chunk(ledger, sent(chunk, r0001="unknown"))
    counts = {line.id: line.counts for line in list_campaigns(ledger, limit=9).entries}
    assert {name: {state: n for state, n in each.items() if n} for name, each in counts.items()} == {
        "first": {State.SENT: 2, State.UNKNOWN: 1},
        "second": {State.PENDING: 1},
    }


def drain(url: SecretStr, campaign_id: str) -> list[int]:
    """Release and record chunks until the campaign is done, as one of several workers."""
    ledger = open_ledger(url)
    mine = []
    while campaign_overview(ledger, campaign_id, limit=0).state is not State.DONE:
        for chunk in release_chunks(ledger, campaign_id, window=3):
            mine.append(chunk["number"])
            record_chunk(ledger, sent(chunk))
    ledger.close()
    return mine


@pytest.mark.parametrize("pool", ["processes", "threads"])
def test_callers_at_the_same_time_never_release_a_chunk_twice(ledger_url, ledger, people, pool):
    submit_campaign(ledger, people(*numbered(120)), "news", "spring", chunk_size=2)
    executor = (
        ThreadPoolExecutor(3)
        if pool == "threads"
        else ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    )
    with executor:
        released = list(executor.map(drain, [ledger_url] * 2, ["spring"] * 2))
    assert sorted(chain(*released)) == list(range(1, 61))
    assert campaign_overview(ledger, "spring").counts[State.SENT] == 120


def submit_again(url: SecretStr, path: Path) -> tuple[str, int]:
    ledger = open_ledger(url)
    submitted = submit_campaign(ledger, path, "news", "spring", chunk_size=7)
    ledger.close()
    return submitted.campaign_id, submitted.new


def test_two_submissions_of_one_campaign_at_the_same_time_add_each_recipient_once(
    ledger_url, ledger, people, monkeypatch
):
    monkeypatch.setattr(submitting, "BATCH", 20)
    path = people(*numbered(200))
    with ThreadPoolExecutor(3) as executor:
        added = list(executor.map(submit_again, [ledger_url] * 3, [path] * 3))
    assert sum(new for _, new in added) == 200
    chunks = release_chunks(ledger, "spring", window=1000)
    assert sorted(addresses(chunks)) == numbered(200)


def test_no_query_of_a_campaign_reads_through_all_recipients_on_sqlite(tmp_path, people, clock):
    url = SecretStr(f"sqlite:///{tmp_path / 'ledger.db'}")
    upgrade(url)
    ledger = open_ledger(url, clock)
    asked: dict[str, Any] = {}
    event.listen(
        ledger._engine,
        "before_cursor_execute",
        lambda _c, _cursor, sql, values, _context, many: asked.setdefault(sql, values[0] if many else values),
    )
    submit_campaign(ledger, people(*numbered(9)), "news", "spring", chunk_size=3)
    for chunk in release_chunks(ledger, "spring", window=2):
        record_chunk(ledger, sent(chunk, r0001="failed"))
    fail_chunk(ledger, "spring", release_chunks(ledger, "spring", window=1)[0]["number"], "killed")
    campaign_overview(ledger, "spring")
    stalled_campaigns(ledger, timedelta(hours=1))
    with ledger.reading() as session:
        plans = {
            sql: [row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
            for sql, values in list(asked.items())
            if sql.startswith(("SELECT", "UPDATE"))
        }
    ledger.close()
    assert len(plans) > 10
    slow = {
        sql: plan
        for sql, plan in plans.items()
        if any(step.startswith(("SCAN recipients", "SCAN chunks", "SCAN campaigns")) for step in plan)
    }
    assert slow == {}
