"""The outbox: what is accepted is published, by one relay at a time, the urgent first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from services.core.ledger.errors import UnknownId
from services.core.ledger.models import OutboxEntry
from services.core.ledger.outbox import (
    Outgoing,
    add_entries,
    claim_due,
    give_back,
    is_due,
    postpone,
    remove_entries,
    remove_of,
)
from services.core.ledger.relays import note_relay
from services.core.usecases.outbox_lag import outbox_lag
from services.core.usecases.overview import overview
from services.core.usecases.submit_files import submit_files
from services.core.usecases.submit_mail import submit_mail
from services.core.workflows import job_to_publish, mail_to_publish
from shared.names import BrokerName, TaskName

LEASE = timedelta(seconds=60)


def entry(subject: str, priority: int = 4, broker: str = "batch") -> Outgoing:
    return Outgoing(subject, broker, priority, {"task": subject})


def fill(ledger, *outgoing: Outgoing) -> None:
    with ledger.writing() as session:
        add_entries(session, outgoing, ledger.clock())


def claim(ledger, limit: int = 10, **options) -> list[tuple[int, str]]:
    with ledger.writing() as session:
        return [(taken.id, taken.subject) for taken in claim_due(session, ledger.clock(), LEASE, limit, **options)]


def test_the_urgent_go_first_and_of_equal_ones_the_oldest(ledger):
    fill(ledger, entry("a"), entry("b", 9), entry("c", 0), entry("d", 9))
    assert [subject for _, subject in claim(ledger)] == ["b", "d", "a", "c"]


def test_an_entry_is_taken_by_one_until_its_lease_ends(ledger, clock):
    fill(ledger, entry("a"))
    assert len(claim(ledger)) == 1
    assert claim(ledger) == []
    clock.forward(seconds=61)
    assert len(claim(ledger)) == 1


def test_entries_of_a_broker_that_rests_let_others_by(ledger):
    fill(ledger, entry("a", 9, "critical"), entry("b"))
    assert [subject for _, subject in claim(ledger, without=["critical"])] == ["b"]


def test_what_was_published_is_gone_and_what_was_not_comes_again(ledger, clock):
    fill(ledger, entry("a"), entry("b"), entry("c"))
    with ledger.writing() as session:
        first, second, third = claim_due(session, ledger.clock(), LEASE, 10)
    with ledger.writing() as session:
        remove_entries(session, [first])
        give_back(session, [second], clock())
        postpone(session, third, clock() + timedelta(seconds=5), "no such queue")
    assert [subject for _, subject in claim(ledger)] == ["b"]
    assert outbox_lag(ledger).error == "no such queue"
    clock.forward(seconds=6)
    assert [subject for _, subject in claim(ledger)] == ["c"]


def test_an_entry_that_got_the_number_of_a_removed_one_is_not_taken_for_it(ledger, clock):
    fill(ledger, entry("called off"))
    with ledger.writing() as session:
        [taken] = claim_due(session, ledger.clock(), LEASE, 10)
    with ledger.writing() as session:
        remove_of(session, "called off")
    fill(ledger, entry("accepted"))
    with ledger.writing() as session:
        session.execute(update(OutboxEntry).values(id=taken.id))  # SQLite has given it already
        postpone(session, taken, clock() + timedelta(days=1), "gone")
        give_back(session, [taken], clock() + timedelta(days=1))
        remove_entries(session, [taken])
    assert outbox_lag(ledger).error is None
    assert claim(ledger) == [(taken.id, "accepted")]


def test_the_lag_tells_how_much_waits_and_since_when(ledger, clock):
    assert outbox_lag(ledger).entries == 0
    fill(ledger, entry("a"))
    clock.forward(seconds=90)
    fill(ledger, entry("b"))
    lag = outbox_lag(ledger)
    assert (lag.entries, lag.seconds, lag.relay_at_work) == (2, 90.0, False)
    with ledger.writing() as session:
        note_relay(session, clock())
        note_relay(session, clock())
    assert outbox_lag(ledger).relay_at_work


def test_a_mail_is_accepted_with_what_publishes_it_or_not_at_all(ledger):
    mail = submit_mail(ledger, "ada@example.org", "welcome", {"name": "Ada"}, publish=mail_to_publish)
    with ledger.writing() as session:
        [taken] = claim_due(session, ledger.clock(), LEASE, 10)
        assert (taken.subject, taken.broker) == (mail["key"], BrokerName.CRITICAL)
        assert taken.signature["task"] == TaskName.EMAIL_SEND
        assert taken.signature["options"]["task_id"] == mail["key"]

    def refused(mail):
        told.append(mail["key"])
        raise ValueError("as asked")

    told: list[str] = []
    with pytest.raises(ValueError, match="as asked"):
        submit_mail(ledger, "ada@example.org", "welcome", {}, publish=refused)
    with pytest.raises(UnknownId):
        overview(ledger, told[0])
    with ledger.reading() as session:
        assert not is_due(session, ledger.clock())


def test_the_tasks_of_a_job_have_their_ids_before_anything_is_published(ledger, storage, tmp_path):
    note = tmp_path / "note.txt"
    note.write_text("Hello")
    job = submit_files(ledger, storage, [note], publish=lambda job: job_to_publish(job, notify=True))
    with ledger.writing() as session:
        [taken] = claim_due(session, ledger.clock(), LEASE, 10)
        chord = taken.signature
    assert taken.broker == BrokerName.BATCH
    header, body = chord["kwargs"]["header"], chord["kwargs"]["body"]
    assert [member["options"]["task_id"] for member in header["kwargs"]["tasks"]] == [job.files[0]["file_id"]]
    assert header["options"]["task_id"]
    assert body["options"]["task_id"]
