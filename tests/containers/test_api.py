"""The API in containers, and what it stands on there: the relay publishes, the recorder keeps the history."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from shared.names import BrokerName
from tests.fleet.inspection import wait_for

MAIL = {"template": "welcome", "variables": {"name": "Ada"}}


@pytest.fixture(scope="module")
def api(fleet) -> Iterator[httpx2.Client]:
    address = fleet.compose("port", "api", "8080").strip()
    with httpx2.Client(base_url=f"http://{address}", timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def sender(fleet) -> dict[str, str]:
    return header(fleet, "sender")


@pytest.fixture(scope="module")
def operator(fleet) -> dict[str, str]:
    return header(fleet, "operator")


def header(fleet, role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {fleet.yard('key', 'create', role, '--role', role).strip()}"}


def send(api: httpx2.Client, header: dict[str, str], to: str) -> str:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    answer = api.post("/api/v1/mails", json={**MAIL, "to": to}, headers={**header, **key})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["self"])


def told(api: httpx2.Client, header: dict[str, str], path: str, **query: str) -> Any:
    answer = api.get(path, headers=header, params={**query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_broker_answers_the_api(api, operator):
    queues = told(api, operator, "/api/v1/queues", fresh="1")
    assert queues["brokers"] == dict.fromkeys(BrokerName, True)
    assert all(entry["unacknowledged"] is not None for entry in queues["entries"])
    workers = told(api, operator, "/api/v1/workers", fresh="1")
    assert workers["not_asked"] == {}
    assert all(worker["memory_kib"] > 10_000 for worker in workers["entries"])


def test_the_history_of_a_mail_is_kept(api, sender, operator, fleet, tmp_path):
    send(api, sender, "remembered@example.org")
    wait_for(
        lambda: (
            {"email.send", "core.record_mail"}
            <= {task["name"] for task in told(api, operator, "/api/v1/tasks", state="succeeded")["entries"]}
        ),
        "the recorder to keep the tasks of the mail",
        60,
    )
    assert fleet.envelopes(tmp_path)["remembered@example.org"] == 1


def test_what_is_accepted_without_a_relay_waits_for_it(api, sender, operator, fleet, tmp_path):
    fleet.compose("stop", "relay", seconds=60)
    path = send(api, sender, "patient-mail@example.org")
    overview = told(api, operator, "/api/v1/overview", fresh="1")
    assert overview["outbox"]["entries"] >= 1
    assert told(api, sender, path)["status"] == "queued"
    fleet.compose("start", "relay")
    fleet.wait_until_healthy("relay")
    wait_for(lambda: told(api, sender, path)["status"] == "sent", "the mail to be sent", 60)
    assert fleet.envelopes(tmp_path)["patient-mail@example.org"] == 1


@pytest.mark.parametrize("service", ["api", "relay", "recorder"])
def test_one_that_is_asked_to_stop_ends_well(fleet, service):
    fleet.compose("stop", service, seconds=60)
    assert {container["State"]["ExitCode"] for container in fleet.inspect(service).values()} == {0}
    fleet.compose("up", "--wait", "--no-build", "--no-deps", service, seconds=120)
