"""Work is accepted while no broker answers, and done once they do; whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.core.cli import exit_codes
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from shared.settings import child_environment
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for

pytestmark = pytest.mark.timeout(400)

MAILS = 12


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with LocalFleet(tmp_path_factory.mktemp("relay") / "home", switchyard_plan) as fleet:
        yield fleet


def yard(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.core.cli.main", *map(str, arguments)],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        env=child_environment({"YARD_HOME": str(home)}, without=("YARD_",)),
    )  # fmt: skip


def accepted(fleet, name: str) -> str:
    """Give a mail to the fleet; return its receipt."""
    options = ("--to", f"{name}@example.org", "--template", "welcome", "--var", f"name={name}")
    done = yard(fleet.home, "send", *options, "--no-wait", "--json")
    assert done.returncode in (exit_codes.OK, exit_codes.TIMED_OUT), done.stdout + done.stderr
    receipt: str = json.loads(done.stdout)["id"]
    return receipt


def delivered(fleet) -> Counter[str]:
    """Count the mails that arrived, by address."""
    lines = (line for path in Path(fleet.home, "mail").glob("*.eml") for line in path.read_text().splitlines())
    return Counter(line.partition(": ")[2] for line in lines if line.startswith("X-Envelope-To: "))


@contextmanager
def frozen(*services):
    """Stop the processes of servers, which answer nothing then and lose nothing."""
    processes = [process for service in services for process in service.processes]
    for process in processes:
        process.pause()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_mail_is_accepted_while_no_broker_answers_and_sent_when_they_do(fleet):
    names = [f"frozen-{number}" for number in range(MAILS)]
    with frozen(fleet.redis, fleet.rabbitmq), ThreadPoolExecutor(2) as callers:
        started = time.monotonic()
        receipts = list(callers.map(lambda name: accepted(fleet, name), names))
        print(f"{len(receipts)} receipts in {time.monotonic() - started:.1f} s, without a broker")
        assert not any(delivered(fleet)[f"{name}@example.org"] for name in names)
    expected = {f"{name}@example.org" for name in names}
    wait_for(lambda: expected <= delivered(fleet).keys(), "all that was accepted to be sent", 120)
    assert {delivered(fleet)[address] for address in expected} == {1}
    for receipt in receipts:
        outcome = json.loads(yard(fleet.home, "job", receipt, "--watch", "--json").stdout)
        assert outcome["status"] == "sent"


def test_a_relay_that_is_killed_loses_and_repeats_nothing(fleet):
    names = [f"killed-{number}" for number in range(MAILS)]
    with ThreadPoolExecutor(2) as callers:
        receipts = callers.map(lambda name: accepted(fleet, name), names)
        for _ in range(3):
            next(receipts)
            [relay] = fleet.process("relay").processes
            os.kill(relay.pid, signal.SIGKILL)
    expected = {f"{name}@example.org" for name in names}
    # What the killed one had in hand is another's after a minute.
    wait_for(lambda: expected <= delivered(fleet).keys(), "all that was accepted to be sent", 180)
    assert {delivered(fleet)[address] for address in expected} == {1}


def test_without_a_relay_the_receipt_says_that_it_waits(tmp_path):
    assert yard(tmp_path, "migrate").returncode == 0
    done = yard(tmp_path, "send", "--to", "ada@example.org", "--template", "welcome", "--no-wait")
    assert "no relay is at work" in done.stderr
    assert "Traceback" not in done.stderr
