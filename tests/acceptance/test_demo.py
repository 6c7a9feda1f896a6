"""The demonstration, as a person runs it, checked from outside: the mail folder, the manifest, the process list."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from email_validator import EmailNotValidError, validate_email

from services.core.local.ports import listens
from shared.settings import child_environment
from tests.fixtures.workers import ROOT

pytestmark = pytest.mark.timeout(360)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str]:
    """Run ``yard demo``; the folder it wrote to, and what it printed."""
    home = tmp_path_factory.mktemp("demo") / "home"
    done = subprocess.run(
        [sys.executable, "-m", "services.core.cli.main", "demo", "--home", str(home)],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=340, env=child_environment(without=("YARD_",)),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return home, done.stdout


def envelopes(home: Path) -> Counter[str | None]:
    mails = [path.read_text(encoding="utf-8") for path in (home / "mail").glob("*.eml")]
    return Counter(valid(mail.partition("\n")[0].removeprefix("X-Envelope-To: ")) for mail in mails)


def valid(address: str) -> str | None:
    """The one form of an address, ``None`` for an invalid one; not decided by the code under test."""
    try:
        found = validate_email(address, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        return None
    return f"{found.local_part}@{found.ascii_domain}"


def test_each_valid_recipient_has_one_message_after_two_runs(demo):
    home, _ = demo
    with (ROOT / "examples" / "recipients.csv").open(encoding="utf-8", newline="") as rows:
        addresses = [row["address"] for row in csv.DictReader(rows)]
    assert len(addresses) == 500
    deliverable = {form for address in addresses if (form := valid(address)) and not form.startswith("hard-fail")}
    assert len(deliverable) > 460
    assert envelopes(home) == Counter(dict.fromkeys([*deliverable, "you@example.org"], 1))


def test_each_good_file_has_its_artefacts_and_each_bad_one_its_reason(demo):
    home, _ = demo
    expected = json.loads((ROOT / "examples" / "files.expected.json").read_text())
    (manifest,) = (home / "storage" / "jobs").glob("*/manifest.json")
    files = json.loads(manifest.read_text())["files"]
    assert len(files) >= 30
    assert {file["name"]: file["status"] for file in files} == expected
    for file in files:
        if file["status"] == "done":
            assert file["artefacts"]
            for artefact in file["artefacts"]:
                assert (home / "storage" / artefact["path"]).stat().st_size == artefact["bytes"]
        else:
            assert file["reason"].strip()


def test_no_artefact_lies_outside_its_job(demo):
    home, _ = demo
    strays = [path for path in (home / "storage").rglob("*") if path.name in {"escaped.txt", "passwd", "passwords.txt"}]
    assert not strays
    assert not (home / "escaped.txt").exists()
    assert not Path("/etc/escaped.txt").exists()


def test_it_leaves_no_process_behind(demo):
    home, _ = demo
    mine = os.getpid()
    left = [
        process.info
        for process in psutil.process_iter(["pid", "cmdline"])
        if process.info["pid"] != mine and any(str(home) in part for part in process.info["cmdline"] or ())
    ]
    assert not left
    ports = [
        port
        for service in json.loads((home / "fleet.json").read_text())["services"].values()
        for port in service["ports"].values()
    ]
    assert ports
    assert not [port for port in ports if listens(port)]


def test_it_ends_with_what_each_queue_did(demo):
    _, printed = demo
    for queue in ("email.critical", "email.bulk", "file.images", "file.documents", "core.default"):
        (line,) = [line for line in printed.splitlines() if line.startswith(f"{queue} ") and "succeeded" in line]
        assert " s" in line
    assert "✗" not in printed
