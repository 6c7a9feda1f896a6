"""The database under the ledger: its tables, its transactions, and what happens when it cannot be reached."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sqlite3
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, create_engine, inspect, select, text
from sqlalchemy.exc import IntegrityError

from services.core.ledger.engine import Ledger, open_ledger
from services.core.ledger.errors import LedgerOutdated, LedgerUnavailable, UnknownId
from services.core.ledger.mails import add_mail, the_mail
from services.core.ledger.migrations import require_current, upgrade
from services.core.ledger.models import Base, Job, SingleMail
from services.core.ledger.states import State
from services.core.usecases.overview import mail_overview
from services.core.usecases.record_mail import record_mail
from services.core.usecases.submit_mail import submit_mail
from shared.reports import MailOutcome
from shared.secret import SecretStr
from tests.fixtures.postgres import free_port

WRITERS = 4
TRANSACTIONS = 200
API_THREADS = 40
"""The default of anyio, whose threads serve the routes."""


def processes(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def test_migrations_make_exactly_the_tables_of_the_models(ledger):
    with ledger.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        made = inspect(session.connection())
        for table in Base.metadata.sorted_tables:
            checks = {check["name"] for check in made.get_check_constraints(table.name)}
            assert checks == {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}


def test_a_ledger_is_refused_while_its_tables_are_missing_or_of_another_release(empty_ledger_url):
    ledger = open_ledger(empty_ledger_url)
    with pytest.raises(LedgerOutdated, match=r"revision none.*yard up"):
        require_current(ledger)
    assert ledger.file is None or not ledger.file.exists()
    upgrade(empty_ledger_url)
    require_current(ledger)
    with ledger.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(LedgerOutdated, match="revision later"):
        require_current(ledger)
    ledger.close()


def test_a_release_works_with_the_tables_of_the_next_one_and_leaves_them_as_they_are(ledger, ledger_url):
    with ledger.writing() as session:
        session.execute(text("ALTER TABLE mails ADD COLUMN added TEXT"))
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    require_current(ledger)
    upgrade(ledger_url)
    mail_id = str(submit_mail(ledger, "ada@example.org", "welcome", {})["key"])
    assert mail_overview(ledger, mail_id).to == "ada@example.org"
    with ledger.reading() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_processes_that_upgrade_at_the_same_time_all_succeed(empty_ledger_url):
    with processes(WRITERS) as pool:
        list(pool.map(upgrade, [empty_ledger_url] * WRITERS))
    ledger = open_ledger(empty_ledger_url)
    require_current(ledger)
    ledger.close()


def test_an_instant_comes_back_in_utc_whatever_its_time_zone(ledger):
    noon_in_tokyo = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=9)))
    with ledger.writing() as session:
        add_mail(session, "mail-1", "ada@example.org", "welcome", noon_in_tokyo)
    with ledger.reading() as session:
        recorded = the_mail(session, "mail-1").created_at
    assert recorded == noon_in_tokyo
    assert recorded.tzinfo is UTC


def test_text_that_no_database_can_hold_is_recorded_all_the_same(ledger):
    mail_id = str(submit_mail(ledger, "ada@example.org", "welcome", {})["key"])
    outcome: MailOutcome = {"to": "ada@example.org", "status": "failed", "reason": "550 \0 \ud800", "message_id": None}
    record_mail(ledger, outcome, mail_id)
    assert mail_overview(ledger, mail_id).reason == "550 \N{REPLACEMENT CHARACTER} ?"


def test_a_state_that_the_thing_does_not_have_is_refused_by_the_database(ledger, clock):
    with pytest.raises(IntegrityError), ledger.writing() as session:
        session.add(Job(id="job-1", state=State.SENT, created_at=clock()))


def test_a_failed_transaction_leaves_nothing_behind(ledger, clock):
    def fail_half_way() -> None:
        with ledger.writing() as session:
            add_mail(session, "mail-1", "ada@example.org", "welcome", clock())
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    with ledger.reading() as session, pytest.raises(UnknownId):
        the_mail(session, "mail-1")


def test_readers_see_one_picture_and_do_not_wait_for_a_writer(ledger, clock):
    with ledger.reading() as reader:
        assert reader.scalars(select(SingleMail)).all() == []
        with ledger.writing() as writer:
            add_mail(writer, "mail-1", "ada@example.org", "welcome", clock())
            writer.flush()
            with ledger.reading() as another:
                assert another.scalars(select(SingleMail)).all() == []
        assert reader.scalars(select(SingleMail)).all() == []


def test_a_reader_cannot_write_on_postgresql(postgres_url):
    upgrade(SecretStr(postgres_url))
    ledger = open_ledger(SecretStr(postgres_url))
    with pytest.raises(Exception, match="read-only"), ledger.reading() as session:
        session.execute(text("DELETE FROM mails"))
    ledger.close()


def write_many(url: SecretStr, writer: int) -> None:
    ledger = open_ledger(url)
    for number in range(TRANSACTIONS):
        with ledger.writing() as session:
            session.scalars(select(SingleMail).limit(1)).all()  # reading first is what deadlocks without care
            add_mail(session, f"mail-{writer}-{number}", "ada@example.org", "welcome", ledger.clock())
    ledger.close()


@pytest.mark.timeout(300)
def test_writers_in_several_processes_wait_for_each_other_and_none_is_locked_out(ledger_url, ledger):
    with processes(WRITERS) as pool:
        list(pool.map(write_many, [ledger_url] * WRITERS, range(WRITERS)))
    with ledger.reading() as session:
        assert len(session.scalars(select(SingleMail.id)).all()) == WRITERS * TRANSACTIONS


def submit_mails(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        submit_mail(ledger, "grace@example.org", "welcome", {})


def test_a_ledger_that_is_carried_over_a_fork_serves_parent_and_child(ledger):
    first = str(submit_mail(ledger, "ada@example.org", "welcome", {})["key"])
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            submit_mails(ledger, TRANSACTIONS)
            os._exit(0)
        os._exit(1)
    submit_mails(ledger, TRANSACTIONS)
    assert os.waitpid(child, 0)[1] == 0
    assert mail_overview(ledger, first).to == "ada@example.org"
    with ledger.reading() as session:
        assert len(session.scalars(select(SingleMail.id)).all()) == 1 + 2 * TRANSACTIONS


def test_as_many_threads_as_the_api_has_use_the_ledger_at_the_same_time(ledger):
    there = Barrier(API_THREADS)

    def look(_: int) -> None:
        with ledger.reading() as session:
            session.execute(select(Job.id))
            there.wait(60)

    with ThreadPoolExecutor(API_THREADS) as pool:
        list(pool.map(look, range(API_THREADS)))


def test_a_ledger_whose_connections_are_all_in_use_is_out_of_reach(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}", pool_size=1, max_overflow=0, pool_timeout=0.1)
    with closing(Ledger(engine)) as ledger, ledger.reading() as session:
        session.execute(select(1))
        with pytest.raises(LedgerUnavailable, match="in use"), ledger.reading() as other:
            other.execute(select(1))


def test_a_server_that_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://yard:secret@127.0.0.1:{silent.getsockname()[1]}/ledger"  # its kernel accepts connections
        with pytest.raises(LedgerUnavailable), open_ledger(SecretStr(url)).reading() as session:
            session.execute(text("SELECT 1"))


def test_a_database_out_of_reach_is_an_error_without_the_password():
    url = SecretStr(f"postgresql://yard:s3cret@127.0.0.1:{free_port()}/ledger")
    ledger = open_ledger(url)
    with pytest.raises(LedgerUnavailable) as caught, ledger.reading() as session:
        session.execute(select(SingleMail))
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {ledger!r}"
    assert "s3cret" not in shown
    assert "refused" in shown


def test_a_busy_sqlite_ledger_says_so_after_its_patience(tmp_path, monkeypatch):
    monkeypatch.setattr("services.core.ledger.engine.BUSY_TIMEOUT_SECONDS", 0.1)
    file = tmp_path / "ledger.db"
    url = SecretStr(f"sqlite:///{file}")
    upgrade(url)
    ledger = open_ledger(url)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked"), ledger.writing() as session:
            session.execute(select(SingleMail))
    ledger.close()
