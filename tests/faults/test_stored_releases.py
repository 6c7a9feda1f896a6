"""What earlier releases left in brokers, shared state, ledger and storage is worked off by this one."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import MetaData, create_engine, insert, select

from services.core.ledger.engine import Ledger, open_ledger
from services.core.ledger.migrations import _config, require_current, upgrade
from services.core.ledger.url import parse_url
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from services.core.local.specs import Plan
from services.core.usecases.outbox_lag import outbox_lag
from services.core.usecases.overview import overview
from services.core.usecases.records import MailOverview
from shared.secret import SecretStr
from shared.settings import FleetSettings
from tests.fixtures.yard import yard
from tests.fleet.inspection import wait_for
from tests.releases import dumps

pytestmark = pytest.mark.timeout(300)

FOLDER = Path(dumps.__file__).parent
RELEASES = sorted(path for path in FOLDER.iterdir() if (path / "expected.json").exists())
TO = re.compile(r"^X-Envelope-To: (\S+)$", re.MULTILINE)
FOR_EVER_DAYS = "36500"
OVER = {"sent", "failed", "done", "done_with_failures"}


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request) -> Path:
    folder: Path = request.param
    return folder


@pytest.fixture
def fleet(release, tmp_path, monkeypatch) -> Iterator[LocalFleet]:
    """A fleet of this release, which finds what the other one left when its brokers answer."""
    home = tmp_path / "home"
    for kept in ("DEAD_LETTERS_EXPIRE_DAYS", "LEDGER_EXPIRE_DAYS"):
        monkeypatch.setenv(f"YARD_{kept}", FOR_EVER_DAYS)

    def loaded(settings: FleetSettings) -> Plan:
        urls = [running.redis.url(number) for number in dumps.DATABASES]
        dumps.load_redis(urls, release / "redis.json")
        dumps.load_rabbitmq(running.rabbitmq.url, release / "rabbitmq.json")
        dumps.load_ledger(home / "ledger.db", release / "ledger.sql")
        shutil.copytree(release / "storage", settings.storage, dirs_exist_ok=True)
        return switchyard_plan(settings)

    running = LocalFleet(home, loaded)
    with running:
        yield running


def expected_of(release: Path) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((release / "expected.json").read_text())
    return expected


def end_of(ledger: Ledger, wanted: str) -> str:
    found = overview(ledger, wanted, limit=0)
    return str(found.status if isinstance(found, MailOverview) else found.state)


def ends(ledger: Ledger, ids: dict[str, str]) -> dict[str, str]:
    return {each: end_of(ledger, each) for each in ids}


def test_its_work_is_done_its_mails_go_out_once_and_its_dead_letters_can_be_replayed(release, fleet):
    expected = expected_of(release)
    ledger = open_ledger(fleet.settings.ledger_url)
    variables = {"YARD_HOME": str(fleet.home)}
    at_first = {each: end for each, end in expected["ends"].items() if each not in expected["to_replay"]}
    wait_for(lambda: set(ends(ledger, at_first).values()) <= OVER, f"{at_first}, not {ends(ledger, at_first)}", 120)
    assert ends(ledger, at_first) == at_first

    def letters() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(yard("dead", "list", "--json", variables=variables)[0])["letters"]
        return listed

    # What failed for good here, the mail without an address, is a letter as well.
    wait_for(lambda: {"unknown", *expected["to_replay"]} <= {letter["task_id"] for letter in letters()}, "its letters")
    failed = {each for each, end in expected["ends"].items() if end == "failed"}
    assert {letter["task_id"] for letter in letters()} == {"unknown", *expected["to_replay"], *failed}
    for task_id in expected["to_replay"]:
        yard("dead", "replay", "--id", task_id, variables=variables)
    wait_for(lambda: ends(ledger, expected["ends"]) == expected["ends"], "what is replayed to end", 60)
    got = Counter(TO.findall("\n".join(path.read_text() for path in fleet.mail.folder.glob("*.eml"))))
    assert got == Counter(expected["mails"])
    assert outbox_lag(ledger).entries == 0
    ledger.close()


def test_its_ledger_on_postgresql_is_brought_up_to_date_with_all_rows(release, postgres_url, tmp_path):
    expected = expected_of(release)
    database = tmp_path / "ledger.db"
    dumps.load_ledger(database, release / "ledger.sql")
    with closing(sqlite3.connect(database)) as connection:
        [[revision]] = connection.execute("SELECT version_num FROM alembic_version")
    theirs, ours = create_engine(f"sqlite:///{database}"), create_engine(parse_url(SecretStr(postgres_url)))
    with ours.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    copy(theirs, ours)
    ours.dispose()
    theirs.dispose()
    upgrade(SecretStr(postgres_url))
    ledger = open_ledger(SecretStr(postgres_url))
    require_current(ledger)
    assert set(ends(ledger, expected["ends"])) == set(expected["ends"])
    assert outbox_lag(ledger).entries > 0
    ledger.close()


def copy(source, target) -> None:
    """Copy all rows from one database to another of the same tables."""
    kept, tables = MetaData(), MetaData()
    kept.reflect(source)
    tables.reflect(target)
    with source.connect() as reading, target.begin() as writing:
        for table in tables.sorted_tables:
            rows = [dict(row._mapping) for row in reading.execute(select(kept.tables[table.name]))]
            if rows and table.name != "alembic_version":
                writing.execute(insert(table), rows)
