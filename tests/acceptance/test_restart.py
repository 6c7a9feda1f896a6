"""``yard restart`` while a campaign and a job are worked on: every process is new, and every mail went out once."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from services.core.cli import exit_codes
from services.core.local.rolling import SERVERS
from services.core.local.state import Phase, read_state
from tests.fixtures.yard import yard
from tests.fleet.inspection import wait_for

pytestmark = pytest.mark.timeout(400)

RECIPIENTS = 12000
TO = re.compile(r"^X-Envelope-To: (\S+)$", re.MULTILINE)


def leaders(home: Path) -> dict[str, int]:
    wait_for(lambda: set(phases(home).values()) == {Phase.READY}, "all to be ready, also what ended and began again")
    state = read_state(home)
    assert state is not None
    return {name: service.processes[0].pid for name, service in state.services.items()}


def phases(home: Path) -> dict[str, Phase]:
    state = read_state(home)
    assert state is not None
    return {name: service.phase for name, service in state.services.items()}


def test_all_processes_are_restarted_under_load_and_each_mail_goes_out_once(tmp_path):
    home = tmp_path / "home"
    # In small chunks it takes long enough for all the restarts.
    variables = {"YARD_HOME": str(home), "YARD_CAMPAIGN_CHUNK_SIZE": "40"}
    addresses = [f"recipient-{number}@example.org" for number in range(RECIPIENTS)]
    recipients = tmp_path / "recipients.csv"
    recipients.write_text("address,name,headline,story\n" + "".join(f"{each},Ada,News,Much\n" for each in addresses))
    document = tmp_path / "a.txt"
    document.write_text("A text.\n")
    yard("up", variables=variables)
    try:
        before = leaders(home)
        yard("campaign", recipients, "--template=newsletter", "--id=rolled", "--no-wait", variables=variables)
        yard("process", document, "--notify=job@example.org", "--no-wait", variables=variables)
        told, _ = yard("restart", "email.bulk", variables=variables)
        assert "[1/1] email.bulk … ready after" in told
        assert json.loads(yard("job", "rolled", "--json", variables=variables)[0])["counts"]["pending"], "no load"
        told, _ = yard("restart", "email.critical", "core.default", variables=variables)
        assert "[2/2] core.default … ready after" in told
        yard("restart", "relay", "beat", "observer", "file.documents", variables=variables)
        after = leaders(home)
        changed = {name for name in before if after[name] != before[name]}
        assert changed == {
            "email.bulk", "email.critical", "core.default", "relay", "beat", "observer", "file.documents",
        }  # fmt: skip
        assert not changed & SERVERS
        _, refusal = yard("restart", "email.bulks", expect=exit_codes.OUT_OF_REACH, variables=variables)
        assert "There is no process 'email.bulks' to restart" in refusal
        campaign = json.loads(yard("job", "rolled", "--watch", "--timeout=50", "--json", variables=variables)[0])
        assert campaign["counts"]["sent"] == RECIPIENTS
    finally:
        yard("down", variables=variables)
    got = Counter(TO.findall("\n".join(path.read_text() for path in (home / "mail").glob("*.eml"))))
    got.pop("job@example.org", None)
    assert got == Counter(addresses)
