"""The program at the top of the README does what its comments say."""

from __future__ import annotations

import shutil
import subprocess
import sys

from services.core.local.mail_service import LocalMail
from shared.settings import child_environment
from tests.acceptance.pages import Section
from tests.fixtures.workers import ROOT, WorkerProcess


def test_the_first_program_crosses_two_brokers_and_mails(brokers, tmp_path, monkeypatch):
    section = Section("README.md")
    section.apply(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("files"))
    with LocalMail(tmp_path / "mail", logs=tmp_path) as mail:
        monkeypatch.setenv("YARD_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("YARD_SMTP_PORT", str(mail.port))
        workers = [
            WorkerProcess(f"services.{service}", f"-Q{queue}", f"-n{queue}@test", log=tmp_path / queue)
            for service, queue in (("file_worker", "file.documents"), ("email_worker", "email.critical"))
        ]
        try:
            done = subprocess.run(
                [sys.executable, "try_it.py"], cwd=tmp_path, env=child_environment({"PYTHONPATH": str(ROOT)}),
                check=False, capture_output=True, text=True, timeout=120,
            )  # fmt: skip
        finally:
            for worker in workers:
                worker.stop()
    assert done.returncode == 0, done.stderr
    assert done.stdout == section.promised
    files, letters = (worker.output for worker in workers)
    assert "Task file.process[" in files
    assert "Task email.send[" in letters
    (letter,) = (tmp_path / "mail").glob("*.eml")
    assert letter.read_text().startswith("X-Envelope-To: you@example.org")
