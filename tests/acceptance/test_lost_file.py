"""A file that takes its process with it fails alone: its job is merged, told of, and ends."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest

from services.core.cli import exit_codes
from services.core.local.fleet import LocalFleet
from services.core.local.plan import YARD, switchyard_plan
from services.core.local.specs import Plan
from shared.names import QueueName
from shared.settings import FleetSettings, child_environment
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for

pytestmark = pytest.mark.timeout(180)


def one_second_for_documents(settings: FleetSettings) -> Plan:
    """Switchyard's plan, with a hard time limit of a second and no soft one for documents."""
    plan = switchyard_plan(settings)
    limits = ("--", "--soft-time-limit=0", "--time-limit=1")
    return Plan(
        tuple(
            replace(spec, argv=(*spec.argv, *limits)) if spec.name == QueueName.FILE_DOCUMENTS else spec
            for spec in plan.processes
        ),
        plan.preparations,
    )


def test_a_file_whose_process_is_killed_fails_alone(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    (files / "endless.json").write_text("[" + ",".join(['{"a": [1, 2, 3]}'] * 300_000) + "]")
    (files / "story.txt").write_text("It was a dark and stormy night.\n")
    with LocalFleet(tmp_path / "home", one_second_for_documents) as fleet:
        done = subprocess.run(
            [*YARD, "process", str(files), "--notify", "owner@example.org", "--json", "--timeout", "90"],
            check=False, cwd=ROOT, capture_output=True, text=True, timeout=120,
            env=child_environment({"YARD_HOME": str(fleet.home)}, without=("YARD_",)),
        )  # fmt: skip
        wait_for(lambda: list(fleet.mail.folder.glob("*.eml")), "the mail that tells of the job")
        mails = [mail.read_text() for mail in fleet.mail.folder.glob("*.eml")]
    assert done.returncode == exit_codes.FAILED, done.stdout + done.stderr
    job = json.loads(done.stdout)
    assert job["state"] == "done_with_failures"
    became = {entry["name"]: (entry["status"], entry["reason"]) for entry in job["files"]["entries"]}
    assert became == {
        "endless.json": ("failed", "It took longer than its time limit."),
        "story.txt": ("done", None),
    }
    assert len(mails) == 1
    assert "owner@example.org" in mails[0].partition("\n")[0]
