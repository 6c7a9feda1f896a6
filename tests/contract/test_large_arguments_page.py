"""What ``docs/how-to/large-arguments.md`` says is so."""

from __future__ import annotations

import re
import subprocess
import sys

from services.core.local.brokers import LocalRedis
from shared.bounds import MESSAGE_BYTES
from shared.message_size import MessageTooLarge
from shared.settings import child_environment
from tests.acceptance.pages import Section
from tests.fixtures.workers import ROOT, WorkerProcess

PAGE = "docs/how-to/large-arguments.md"


def test_the_refusal_is_the_one_that_is_shown():
    (shown,) = (block.text for block in Section(PAGE).blocks if block.language == "text")
    size = int(re.findall(r"has (\d+) bytes", shown)[0])
    error = MessageTooLarge.of("reports.count", size, MESSAGE_BYTES)
    assert " ".join(shown.split()) == f"MessageTooLarge: {error}"


def test_the_program_prints_what_it_says(brokers, tmp_path, monkeypatch):
    section = Section(PAGE, "Through storage")
    section.apply(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    with LocalRedis(tmp_path / "redis") as redis:
        program = tmp_path / "reports.py"
        for database in (0, 2):
            program.write_text(program.read_text().replace(f"redis://127.0.0.1:6379/{database}", redis.url(database)))
        worker = WorkerProcess("reports", log=tmp_path / "worker.log", folder=tmp_path)
        try:
            done = subprocess.run(
                [sys.executable, "ask.py"], check=False, capture_output=True, text=True, timeout=120,
                env=child_environment(),
            )  # fmt: skip
        finally:
            worker.stop()
    assert done.returncode == 0, done.stderr
    assert done.stdout == section.promised
