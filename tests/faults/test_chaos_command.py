"""The proof as a command, in its short form: faults while the fleet works, and nothing lost or repeated."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from services.core.chaos.checker import Checker
from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.receipts import CampaignReceipt, JobReceipt, MailReceipt, Receipts
from services.core.cli import exit_codes
from services.core.ledger.engine import open_ledger
from services.core.local.fleet import LocalFleet
from services.core.local.plan import YARD, switchyard_plan
from services.core.local.processes import is_alive
from services.core.usecases.submit_mail import submit_mail
from shared.settings import child_environment
from shared.storage import Storage
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for

pytestmark = pytest.mark.timeout(1_200)


@contextmanager
def chaos(home, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run the command; its fleet dies with it."""
    with subprocess.Popen(
        [*YARD, "chaos", *map(str, arguments), "--home", str(home)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        env=child_environment({}, without=("YARD_",)), start_new_session=True,
    ) as run:  # fmt: skip
        try:
            yield run
        finally:
            run.kill()


def test_nothing_is_lost_and_no_effect_repeated_while_everything_fails(tmp_path):
    amounts = ("--recipients", 300, "--files", 30, "--chords", 3, "--mails", 5)
    with chaos(tmp_path / "home", "mixed", "--seed", 11, "--minutes", 2, *amounts, "--json") as run:
        said, complained = run.communicate(timeout=1_100)
    assert run.returncode == exit_codes.OK, said + complained
    report = json.loads(said)
    print(json.dumps(report["facts"], indent=2))
    assert report["holds"]
    assert report["facts"]["accepted"] == "338"
    assert report["facts"]["lost"] == report["facts"]["effects repeated"] == "0"
    assert len(report["faults"]) > 15
    assert report["refused"] == report["contradicted"] == []


def test_ctrl_c_leaves_no_process(tmp_path):
    with chaos(tmp_path / "home", "campaign", "--minutes", 5, "--recipients", 2_000, "--mails", 0) as run:
        wait_for(lambda: list((tmp_path / "home" / "mail").glob("*.eml")), "the fleet to be at work", 300)
        family = psutil.Process(run.pid).children(recursive=True)
        assert len(family) > 10
        run.send_signal(signal.SIGINT)
        _, complained = run.communicate(timeout=200)
    assert run.returncode == exit_codes.INTERRUPTED
    assert "Traceback" not in complained
    assert [process for process in family if is_alive(process)] == []


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with LocalFleet(tmp_path_factory.mktemp("checked") / "home", switchyard_plan) as fleet:
        yield fleet


def test_the_checker_finds_what_is_lost_and_what_is_repeated(fleet):
    """A checker that never complains proves nothing."""
    ledger = open_ledger(fleet.settings.ledger_url)
    mail = MailFolder(fleet.mail.folder)
    checker = Checker(ledger, Storage(fleet.settings.storage), mail)
    never_published = submit_mail(ledger, "never@example.org", "welcome", {})
    receipts = Receipts(
        campaigns=[CampaignReceipt("no-such-campaign", ("nobody@example.org",))],
        jobs=[JobReceipt("no-such-job", ("file.txt",), "owner@example.org")],
        mails=[MailReceipt(str(never_published["key"]), "never@example.org")],
    )
    for number, (address, identity) in enumerate([("nobody@example.org", "a"), ("nobody@example.org", "b")]):
        letter = f"X-Envelope-To: {address}\r\nMessage-ID: <{identity}>\r\n\r\nHello.\r\n"
        (fleet.mail.folder / f"{number}.eml").write_text(letter)
    tally = checker.check(receipts)
    assert tally.accepted == 4
    assert not tally.holds
    assert len(tally.lost) == 3
    assert tally.repeated == ["nobody@example.org got 2 messages"]
