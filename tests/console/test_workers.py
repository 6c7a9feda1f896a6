"""Workers on the console: what each runs now, and how one is drained."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from services.core.local.brokers import LocalRedis
from services.core.usecases.api_keys import Role
from shared.names import QueueName, TaskName
from shared.settings import child_environment
from tests.fixtures.api import ApiProcess
from tests.fixtures.brokers import environment
from tests.fixtures.console import shoot, sign_in
from tests.fixtures.postgres import free_port
from tests.fixtures.workers import ROOT, WorkerProcess

NAME = "mailer@here"
MAIL = {"to": "ada@example.org", "template": "welcome", "variables": {"name": "Ada"}}
SEND = f"""
from services.core.app import app
app.send_task({str(TaskName.EMAIL_SEND)!r}, [{MAIL!r}])
"""


@dataclass(frozen=True)
class Here:
    """A worker that runs one task, whose relay takes the connection and says nothing; one broker is away."""

    api: ApiProcess
    worker: WorkerProcess


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("workers")
    with socket.create_server(("127.0.0.1", 0)) as silent, LocalRedis(folder / "redis") as server:
        reached = {
            "broker_default_url": server.url(0),
            "broker_critical_url": server.url(1),
            "results_url": server.url(2),
            "state_url": server.url(3),
            "broker_batch_url": f"amqp://guest:guest@127.0.0.1:{free_port()}//",
            "smtp_host": "127.0.0.1",
            "smtp_port": str(silent.getsockname()[1]),
            "smtp_security": "none",
        }
        variables = {f"YARD_{name.upper()}": value for name, value in reached.items()} | {"YARD_HOME": str(folder)}
        with environment(variables), ApiProcess(folder / "home", **reached) as api:
            queues = ("-Q", QueueName.EMAIL_CRITICAL, "-c", "2", "-n", NAME)
            worker = WorkerProcess("services.email_worker.app", *queues, log=folder / "worker.log")
            try:
                command = [sys.executable, "-c", SEND]
                subprocess.run(command, check=True, cwd=ROOT, env=child_environment(), timeout=60)
                yield Here(api, worker)
            finally:
                worker.kill()


def test_what_a_worker_runs_is_told_with_its_times(here, page):
    sign_in(page, here.api.url, here.api.keys[Role.OPERATOR].secret, "#/workers")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=NAME))
    expect(row).to_contain_text("1 / 2")
    expect(row).to_contain_text(f"thread, process {here.worker.process.pid}")
    expect(row).to_contain_text(QueueName.EMAIL_CRITICAL)
    expect(row).to_contain_text("MB")
    expect(row).to_contain_text("taken")
    running = page.get_by_role("region", name="Tasks that run now").get_by_role("row").last
    expect(running).to_contain_text(TaskName.EMAIL_SEND)
    expect(running).to_contain_text(QueueName.EMAIL_CRITICAL)
    for each in (" s", NAME, "ada@example.org"):
        expect(running).to_contain_text(each)
    expect(page.get_by_text("The workers of batch could not be asked")).to_be_visible()
    shoot(page, "workers")


def test_a_viewer_sees_no_arguments_and_drains_nothing(here, page):
    sign_in(page, here.api.url, here.api.keys[Role.VIEWER].secret, "#/workers")
    expect(page.get_by_role("rowheader", name=NAME)).to_be_visible()
    expect(page.get_by_role("columnheader", name="Arguments")).to_have_count(0)
    expect(page.locator("main")).not_to_contain_text("ada@example.org")
    expect(page.get_by_role("button", name="Drain")).to_have_count(0)


def test_a_worker_is_drained_and_serves_again(here, page):
    sign_in(page, here.api.url, here.api.keys[Role.OPERATOR].secret, "#/workers")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=NAME))
    page.get_by_role("button", name=f"Drain {NAME}").click()
    dialog = page.get_by_role("dialog", name=f"Drain {NAME}?")
    expect(dialog).to_contain_text("takes nothing more")
    dialog.get_by_role("button", name="Drain").click()
    expect(row).to_contain_text("drain")
    expect(row.get_by_role("link", name=QueueName.EMAIL_CRITICAL)).to_have_count(0)
    [worker] = here.api.get("/api/v1/workers").json()["entries"]
    assert worker["queues"] == []
    page.get_by_role("button", name=f"Serve again {NAME}").click()
    dialog = page.get_by_role("dialog", name=f"Have {NAME} serve queues again")
    expect(dialog.get_by_label("Queues")).to_have_value(QueueName.EMAIL_CRITICAL)
    dialog.get_by_label("Queues").fill("email.criticl")
    dialog.get_by_role("button", name="Serve").click()
    expect(dialog.get_by_role("alert")).to_contain_text(QueueName.EMAIL_CRITICAL)
    dialog.get_by_label("Queues").fill(QueueName.EMAIL_CRITICAL)
    dialog.get_by_role("button", name="Serve").click()
    expect(row.get_by_role("link", name=QueueName.EMAIL_CRITICAL)).to_be_visible()
