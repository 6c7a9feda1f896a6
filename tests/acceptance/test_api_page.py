"""A fleet does what ``docs/how-to/use-the-api.md`` says, line by line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from services.core.ledger.engine import open_ledger
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from services.core.usecases.api_keys import Role, create_key
from shared.secret import SecretStr
from shared.settings import child_environment
from tests.acceptance.pages import Section
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for

PAGE = "docs/how-to/use-the-api.md"
IN_THE_PAGE = "http://127.0.0.1:8080"
SECTIONS = ("", "Make a key", "Give it work", "Follow and fetch", "Look after the fleet")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    home = tmp_path_factory.mktemp("page") / "home"
    with LocalFleet(home, switchyard_plan) as started:
        yield home, f"http://127.0.0.1:{started.process('api').ports['http']}"


def run(script: str, home: Path, folder: Path) -> str:
    """Run lines of the page in one shell, where the examples are."""
    (folder / "examples").symlink_to(ROOT / "examples")
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, check=False, capture_output=True, text=True,
        timeout=150, env=child_environment({"YARD_HOME": str(home), "PATH": path}),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def blocks(*sections: str) -> list[str]:
    return [block.text for section in sections for block in Section(PAGE, section).blocks if block.language == "sh"]


def test_the_lines_of_the_page_run_and_none_is_refused(fleet, tmp_path):
    home, url = fleet
    script = "".join(blocks(*SECTIONS)).replace(IN_THE_PAGE, url)
    told = run(script, home, tmp_path)
    assert "urn:switchyard:problem:" not in told, told
    assert "event: end" in told
    assert "yard_" not in told
    assert "story.txt" in (tmp_path / "manifest.csv").read_text()
    states = [json.loads(line.removeprefix("data: ")) for line in told.splitlines() if line.startswith('data: {"id')]
    assert states[-1]["state"] == "done"
    assert '"status":"invalid"' in told


def test_a_campaign_is_steered_as_the_page_says(fleet, tmp_path):
    home, url = fleet
    steer = "".join(blocks("Steer"))
    script = f"""
        API={url}
        KEY=$(yard key create "steers" --role sender)
        AUTH="Authorization: Bearer $KEY"
        new() {{ echo "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)"; }}
        {{ echo email; for i in $(seq 3000); do echo r$i@example.org; done; }} > many.csv
        campaign=$(curl -sS "$API/api/v1/campaigns?template=newsletter&id=steered" -H "$AUTH" -H "$(new)" \
          -H 'Content-Type: text/csv' --data-binary @many.csv -o /dev/null -w '%header{{location}}')
        {steer}
    """
    told = run(script, home, tmp_path)
    states = [json.loads(part)["state"] for part in told.replace("}{", "}\n{").splitlines()]
    assert states == ["paused", "running", "cancelled"]


def test_the_fleet_is_seen_and_a_viewer_reads_no_arguments(fleet):
    home, url = fleet
    ledger = open_ledger(SecretStr(f"sqlite:///{home / 'ledger.db'}"))
    keys = {role: create_key(ledger, role, "looks").secret for role in Role}
    ledger.close()

    def get(path: str, role: Role = Role.VIEWER) -> dict:
        answer = httpx2.get(f"{url}/api/v1/{path}", headers={"Authorization": f"Bearer {keys[role]}"}, timeout=60)
        assert answer.status_code == 200, answer.text
        told: dict = answer.json()
        return told

    def post(path: str, key: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {keys[Role.OPERATOR]}", "Idempotency-Key": key}
        return httpx2.post(f"{url}/api/v1/{path}", headers=headers, timeout=60)

    queues = get("queues")
    assert queues["brokers"] == {"default": True, "critical": True, "batch": True}
    assert all(queue["ready"] is not None for queue in queues["entries"])
    assert {worker["broker"] for worker in get("workers")["entries"]} == {"default", "critical", "batch"}
    assert post("queues/email.bulk/pause", "pause").json()["changed"] is True
    paused = next(queue for queue in get("queues")["entries"] if queue["name"] == "email.bulk")["paused"]
    assert paused["by"] == "looks"
    assert post("queues/email.bulk/resume", "resume").json()["changed"] is True
    [entry, *_] = get("schedule")["entries"]
    assert entry["schedule"]
    ran = post(f"schedule/{entry['name']}/run", "run")
    assert ran.status_code == 202, ran.text
    assert post(f"schedule/{entry['name']}/run", "run").json() == ran.json()
    task = ran.json()["task"]
    wait_for(lambda: any(seen["id"] == task for seen in get("tasks")["entries"]), "the history to know the task")
    assert all(seen["args"] is None and seen["kwargs"] is None for seen in get("tasks")["entries"])
    assert any(seen["args"] for seen in get("tasks", Role.OPERATOR)["entries"])
    assert get(f"workflows/{task}")["steps"][0]["id"] == task
