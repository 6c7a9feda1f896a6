"""Beat and the observer report their health, too."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from shared.health import verdicts
from shared.settings import child_environment
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for


@pytest.fixture(params=["beat", "observer"])
def process(request, brokers, tmp_path):
    """A process of the fleet, its name, its log, and the folder that it reports in."""
    folder = tmp_path / "run"
    log = tmp_path / "log"
    variables = {"YARD_RUN_DIR": str(folder), "YARD_HOME": str(tmp_path), "YARD_METRICS_PORT": "0"}
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "services.core.cli.main", request.param],
            env=child_environment(variables), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for(lambda: [verdict.ready for verdict in verdicts(folder, request.param)] == [True], "a report")
        yield request.param, started, log, folder
    finally:
        started.kill()
        started.wait(10)


def test_it_is_ready_while_it_runs_and_leaves_no_report_when_it_ends_well(process):
    name, started, log, folder = process
    if name == "observer":
        address = wait_for(lambda: re.search(r"at (\S+)/metrics", log.read_text()), "its address").group(1)
        for question in ("live", "ready"):
            with urllib.request.urlopen(f"{address}/health/{question}", timeout=5) as answer:
                assert answer.status == 200
    started.send_signal(signal.SIGTERM)
    started.wait(20)
    assert verdicts(folder) == []


def test_its_report_is_not_believed_when_it_was_killed(process):
    name, started, _, folder = process
    started.kill()
    wait_for(lambda: not any(verdict.live for verdict in verdicts(folder)), f"{name} not to be live")
    assert len(verdicts(folder)) == 1
