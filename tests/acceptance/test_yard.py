"""``yard`` on a fleet that stays up: work, what became of it, refusals, and the way down."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.core.cli import exit_codes
from shared.queues import QUEUES
from shared.settings import child_environment
from tests.fixtures.workers import ROOT

pytestmark = pytest.mark.timeout(240)


class Yard:
    """Runs ``yard`` against a fleet below a folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: object, expect: int = exit_codes.OK) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "services.core.cli.main", *map(str, arguments)],
            check=False, cwd=ROOT, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL,
            env=child_environment({"YARD_HOME": str(self.home)}, without=("YARD_",)),
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    yard = Yard(tmp_path_factory.mktemp("yard") / "home")
    yard("up")
    yield yard
    yard("down")


def test_one_mail_is_sent_and_told_of(yard):
    told = yard("send", "--to", "ada@example.org", "--template", "welcome", "--var", "name=Ada")
    assert "sent" in told
    mails = [path.read_text() for path in (yard.home / "mail").glob("*.eml")]
    assert any("X-Envelope-To: ada@example.org" in mail for mail in mails)


@pytest.mark.parametrize(
    ("to", "template", "reason"),
    [
        ("nobody", "welcome", "must have an @-sign"),
        ("ada@example.org", "wellcome", "welcome"),
        ("ada@example.org", "welcome", "name"),
    ],
)
def test_a_mail_that_cannot_be_sent_is_failed_with_its_reason(yard, to, template, reason):
    outcome = json.loads(yard("send", "--to", to, "--template", template, "--json", expect=exit_codes.FAILED))
    assert outcome["status"] in ("failed", "invalid")
    assert reason in outcome["reason"]


def test_the_ledger_tells_what_became_of_each_file(yard, tmp_path):
    (tmp_path / "story.txt").write_text("It was a dark and stormy night.\n")
    (tmp_path / "broken.json").write_text('{"half": ')
    told = json.loads(yard("process", tmp_path, "--json", expect=exit_codes.FAILED))
    assert told["state"] == "done_with_failures"
    again = json.loads(yard("job", told["id"], "--json", expect=exit_codes.FAILED))
    assert again == told
    by_name = {entry["name"]: entry for entry in again["files"]["entries"]}
    assert by_name["story.txt"]["status"] == "done"
    assert "broken" in by_name["broken.json"]["reason"]
    assert "broken.json" in yard("job", told["id"], expect=exit_codes.FAILED)


def test_a_campaign_run_again_sends_only_what_was_not_sent(yard, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("address,name\ngrace@example.org,Grace\nsoft-fail-x@example.org,Soft\nnowhere,No\n")
    first = json.loads(
        yard("campaign", people, "--template", "welcome", "--id", "hello", "--json", expect=exit_codes.FAILED)
    )
    assert first["counts"] | {"sent": 2, "invalid": 1} == first["counts"]
    people.write_text(people.read_text() + "alan@example.org,Alan\n")
    told = yard("campaign", people, "--template", "welcome", "--id", "hello", expect=exit_codes.FAILED)
    assert "1 new" in told
    mails = [path.read_text() for path in (yard.home / "mail").glob("*.eml")]
    for address in ("grace@example.org", "soft-fail-x@example.org", "alan@example.org"):
        assert sum(f"X-Envelope-To: {address}" in mail for mail in mails) == 1


def test_the_same_list_without_an_id_wants_again(yard, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("address,name\nedsger@example.org,Edsger\n")
    yard("campaign", people, "--template", "welcome")
    assert "campaign" in yard("campaign", people, "--template", "welcome", expect=exit_codes.REFUSED)
    yard("campaign", people, "--template", "welcome", "--again")
    mails = [path.read_text() for path in (yard.home / "mail").glob("*.eml")]
    assert sum("X-Envelope-To: edsger@example.org" in mail for mail in mails) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("job", "job-20260101-nothing"), exit_codes.REFUSED, "There is no job, campaign or mail"),
        (("process", "no/such/file"), exit_codes.REFUSED, "no/such/file"),
        (("campaign", "no-such.csv", "--template", "welcome"), exit_codes.REFUSED, "no-such.csv"),
        (("send", "--to", "a@example.org", "--template", "x", "--var", "oops"), exit_codes.REFUSED, "NAME=VALUE"),
        (("worker", "email.bulkk"), exit_codes.REFUSED, "email.bulk"),
        (("worker", "email.bulk", "file.images"), exit_codes.REFUSED, "2 services"),
        (("up",), exit_codes.OUT_OF_REACH, "already"),
    ],
)
def test_what_cannot_be_is_refused_in_one_clear_line(yard, arguments, code, told):
    assert told in yard(*arguments, expect=code)


def test_status_and_check_find_everything_well(yard):
    status = json.loads(yard("status", "--json"))
    assert all(broker["up"] for broker in status["brokers"])
    assert sum(len(broker["workers"]) for broker in status["brokers"]) == len(QUEUES)
    checks = json.loads(yard("check", "--json"))
    assert all(check["ok"] for check in checks), checks


def test_a_killed_worker_is_started_again(yard):
    import psutil  # noqa: PLC0415

    from tests.fleet.inspection import wait_for  # noqa: PLC0415

    def local():
        return json.loads(yard("status", "--json"))["local"]["services"]["email.critical"]

    psutil.Process(local()["processes"][0]["pid"]).kill()
    wait_for(lambda: local()["restarts"] == 1 and local()["phase"] == "ready", "the worker to be back")
    assert "sent" in yard("send", "--to", "back@example.org", "--template", "welcome", "--var", "name=B")


@pytest.mark.parametrize(
    "arguments",
    [("process", "README.md"), ("send", "--to", "a@example.org", "--template", "welcome", "--var", "name=A")],
    ids=lambda arguments: arguments[0],
)
def test_without_a_fleet_nothing_is_recorded_and_the_way_to_one_is_shown(tmp_path, arguments):
    told = Yard(tmp_path / "nothing-here")(*arguments, expect=exit_codes.OUT_OF_REACH)
    assert "yard up" in told
    assert len(told.splitlines()) == 1
