"""The broker of a task's next step is away when the task ends: the step is published once it is back; nothing fails."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter

import pytest

from services.core.chaos.course import RABBITMQ
from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.proxied_fleet import proxied_fleet
from services.core.local.plan import YARD, switchyard_plan
from shared.settings import child_environment
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for

pytestmark = pytest.mark.timeout(300)

RECIPIENTS = 120
AWAY_SECONDS = 15.0
"""Longer than a publish is tried for, those of the errback included."""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    with proxied_fleet(tmp_path_factory.mktemp("steps") / "home", switchyard_plan, print) as proxied:
        yield proxied


def yard(fleet, *arguments: object) -> dict:
    done = subprocess.run(
        [*YARD, *map(str, arguments), "--json"],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        env=child_environment({"YARD_HOME": str(fleet.home)}, without=("YARD_",)),
    )  # fmt: skip
    said: dict = json.loads(done.stdout)
    return said


def test_a_chain_waits_for_the_broker_of_its_next_step(proxied, tmp_path):
    fleet, proxies = proxied
    recipients = tmp_path / "recipients.csv"
    recipients.write_text("address,name\n" + "".join(f"r{number}@example.org,Ada\n" for number in range(RECIPIENTS)))
    proxies[RABBITMQ].refuse()
    try:
        yard(fleet, "campaign", recipients, "--template", "welcome", "--id", "waits", "--no-wait")
        wait_for(lambda: "Giving up" in fleet.process("email.critical").output(), "a step to be refused", 60)
        time.sleep(AWAY_SECONDS)
    finally:
        proxies[RABBITMQ].accept()
    ended = yard(fleet, "job", "waits", "--watch", "--timeout", 90)
    assert {state: count for state, count in ended["counts"].items() if count} == {"sent": RECIPIENTS}
    mail = MailFolder(fleet.mail.folder)
    mail.read()
    assert Counter(mail.messages(f"r{number}@example.org") for number in range(RECIPIENTS)) == {1: RECIPIENTS}
