"""The main job through the fleet in containers, its results read back on the host."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from services.core.cli import exit_codes


def test_files_come_back_as_artefacts_or_with_a_reason(fleet, files, tmp_path):
    told = json.loads(fleet.yard("process", "files", "--notify", "you@example.org", "--json", expect=exit_codes.FAILED))
    job = fleet.copy(f"core-default:/srv/storage/jobs/{told['id']}", tmp_path / "job")
    reports = json.loads((job / "manifest.json").read_text())["files"]
    expected = json.loads((files / "files.expected.json").read_text())
    assert len(expected) > 40
    assert {report["name"]: report["status"] for report in reports} == expected
    for report in reports:
        assert report["reason"] if report["status"] == "failed" else report["artefacts"]
        for artefact in report["artefacts"]:
            content = (job.parent / "job" / artefact["path"].partition(f"{told['id']}/")[2]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == artefact["sha256"]
    assert (job / "contact-sheet.jpg").stat().st_size > 10_000
    assert fleet.envelopes(tmp_path)["you@example.org"] == 1


def test_a_campaign_sends_each_recipient_one_mail_also_when_it_runs_twice(fleet, tmp_path):
    before = fleet.envelopes(tmp_path)
    command = ("campaign", "recipients.csv", "--template", "newsletter", "--id", "spring-news", "--json")
    first = json.loads(fleet.yard(*command, expect=exit_codes.FAILED))
    assert first["counts"]["sent"] > 460
    assert first["counts"]["invalid"] > 10
    fleet.yard(*command, expect=exit_codes.FAILED)
    arrived = fleet.envelopes(tmp_path) - before
    assert Counter(arrived.values()) == {1: first["counts"]["sent"]}


def test_one_mail_is_sent_at_once(fleet, tmp_path):
    fleet.yard("send", "--to", "ada@example.org", "--template", "welcome", "--var", "name=Ada")
    assert fleet.envelopes(tmp_path)["ada@example.org"] == 1


def test_the_check_finds_everything_well(fleet):
    checks = json.loads(fleet.yard("check", "--json"))
    assert [check for check in checks if not check["ok"]] == []
