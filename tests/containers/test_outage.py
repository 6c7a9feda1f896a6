"""What ends comes back: brokers killed and started, a worker killed, a fleet brought up again over its volumes."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.containers.compose import OURS
from tests.fleet.inspection import wait_for


def depth(fleet, queue: str) -> int:
    found = json.loads(fleet.yard("status", "--json"))["brokers"]
    return sum(item["ready"] for broker in found for item in broker["queues"] if item["queue"] == queue)


def started(fleet) -> dict[str, str]:
    """When each process of ours was started, by container."""
    return {name: container["State"]["StartedAt"] for name, container in fleet.inspect(*OURS).items()}


def is_not_ready(fleet, worker: str) -> bool:
    return not fleet.says(worker, "ready")


def test_work_that_waits_outlives_its_broker(fleet, files, tmp_path):
    (files / "patient.csv").write_text(
        "address,name\n" + "".join(f"patient-{number}@example.org,Ada\n" for number in range(20))
    )
    fleet.compose("stop", "email-bulk")
    fleet.yard("campaign", "patient.csv", "--template=welcome", "--id=patient", "--no-wait")
    wait_for(lambda: depth(fleet, "email.bulk") == 1, "a chunk in email.bulk", 60)
    fleet.compose("kill", "rabbitmq")
    fleet.compose("start", "rabbitmq")
    fleet.wait_until_healthy("rabbitmq")
    assert depth(fleet, "email.bulk") == 1
    fleet.compose("start", "email-bulk")
    told = json.loads(fleet.yard("job", "patient", "--watch", "--timeout=120", "--json"))
    assert told["counts"]["sent"] == 20
    mails = fleet.envelopes(tmp_path)
    assert {mails[f"patient-{number}@example.org"] for number in range(20)} == {1}


@pytest.mark.parametrize(
    ("broker", "workers"),
    [
        ("redis", ["email-critical", "core-default", "core-maintenance"]),
        ("rabbitmq", ["email-bulk", "file-images", "file-documents"]),
    ],
)
def test_the_fleet_goes_on_when_a_broker_was_killed(fleet, files, broker, workers):
    fleet.wait_until_healthy()
    before = started(fleet)
    fleet.compose("kill", broker)
    for worker in workers:
        wait_for(partial(is_not_ready, fleet, worker), f"{worker} to say that it takes no work", 60)
        assert fleet.says(worker, "live")
    fleet.compose("start", broker)
    for worker in workers:
        wait_for(partial(fleet.says, worker, "ready"), f"{worker} to say that it takes work again", 90)
    told = json.loads(fleet.yard("process", "files/valley.jpg", "files/story.txt", "--json", "--timeout=120"))
    assert told["counts"]["done"] == 2
    fleet.yard("send", "--to", f"{broker}@example.org", "--template=welcome", "--var=name=Ada", "--timeout=120")
    assert started(fleet) == before


def test_a_process_that_was_killed_is_started_again(fleet):
    before = started(fleet)
    # Not the container's first process, which is Docker's init, but the one that it looks after.
    killing = ("sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")
    fleet.compose("exec", "-T", "email-critical", *killing, expect=None)
    changed = wait_for(lambda: dict(started(fleet).items() - before.items()), "a new start", 60)
    assert [name for name in changed if "email-critical" in name]
    fleet.wait_until_healthy("email-critical")
    fleet.yard("send", "--to", "again@example.org", "--template=welcome", "--var=name=Ada", "--timeout=60")


def test_a_worker_that_is_asked_to_stop_ends_well_and_at_once(fleet):
    fleet.compose("stop", "file-images", "core-default", "beat", "observer", "mail", seconds=60)
    ended = fleet.inspect("file-images", "core-default", "beat", "observer", "mail")
    assert {name: container["State"]["ExitCode"] for name, container in ended.items()} == dict.fromkeys(ended, 0)
    fleet.compose("up", "--wait", "--no-build", seconds=240)


def test_a_second_up_keeps_secrets_and_records(fleet):
    read = ("run", "--rm", "-T", "--entrypoint", "sh", "secrets", "-c", "cat /secrets/*/*")
    before, jobs = fleet.compose(*read), fleet.yard("job", "patient", "--json")
    fleet.compose("down", "--timeout=30")
    fleet.compose("up", "--wait", "--no-build", seconds=240)
    assert fleet.compose(*read) == before
    assert fleet.yard("job", "patient", "--json") == jobs
    fleet.yard("send", "--to", "second-up@example.org", "--template=welcome", "--var=name=Ada", "--timeout=60")
