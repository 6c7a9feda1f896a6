"""No password shows in output, errors, representations, messages or process lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.brokers import masked, switchyard_brokers
from shared.settings import load_settings
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.tables import BROKERS, served


@pytest.fixture
def passwords(brokers) -> set[str]:
    return {password for url in brokers.values() if (password := urlsplit(url).password)}


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("services.core.cli.main", "status"),
        ("services.core.cli.main", "status", "--json"),
        ("services.core.cli.main", "check"),
        ("celery", "-A", "services.core", "report"),
        ("celery", "-A", "tests.fleet.app", "worker", "-Q", "nowhere"),
    ],
    ids=" ".join,
)
def test_no_command_prints_a_password(passwords, command):
    printed = run(*command)
    assert printed
    assert not [password for password in passwords if password in printed]


@pytest.mark.parametrize("broker", BROKERS)
def test_a_worker_at_its_most_talkative_hides_passwords(passwords, tmp_path, broker):
    worker = WorkerProcess(
        "tests.fleet.app", f"-Q{served(broker, 'prefork')}", "-c1", "-nquiet@test", "-lDEBUG", log=tmp_path / "log"
    )
    try:
        command_line = Path(f"/proc/{worker.process.pid}/cmdline").read_text()
        assert app.send_task("try.echo", (1,), queue=served(broker, "prefork")).get(timeout=30) == 1
        with app.on_broker(broker):
            configuration = str(app.control.inspect(destination=["quiet@test"]).conf(with_defaults=True))
        assert "broker_url" in configuration
    finally:
        worker.stop()
    for where in (worker.output, command_line, configuration):
        assert not [password for password in passwords if password in where]


def test_no_representation_holds_a_password(passwords):
    fleet = switchyard_brokers()
    shown = [repr(load_settings()), repr(dict(fleet)), *map(str, fleet.values()), *map(repr, fleet.values())]
    shown += [
        repr(app),
        repr(app.conf),
        app.conf.humanize(with_defaults=True),
        *(app.connection_for_write(alias).as_uri() for alias in BROKERS),
    ]
    assert not [password for password in passwords if password in "".join(shown)]
    assert ":**@" in masked(fleet["batch"].url)
