"""``yard dead`` against a whole fleet: a letter is found in the ledger, shown, edited, replayed and dropped."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import redis
from kombu import Connection

from services.core.cli import exit_codes
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from shared.settings import child_environment
from tests.fixtures.bad_messages import Message, as_amqp, as_redis_keeps_it, good_message
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for

pytestmark = pytest.mark.timeout(600)

SECRET = "secret-reset-link"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with LocalFleet(tmp_path_factory.mktemp("dead") / "home", switchyard_plan) as fleet:
        yield fleet


def yard(fleet, *arguments: object, expect: int = exit_codes.OK) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "services.core.cli.main", *map(str, arguments)],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        env=child_environment({"YARD_HOME": str(fleet.home)}, without=("YARD_",)),
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback (most" not in done.stderr
    return done.stdout + done.stderr


def found(fleet, *filters: object) -> list[dict]:
    letters: list[dict] = json.loads(yard(fleet, "dead", "list", "--json", *filters))["letters"]
    return letters


def the_letter(fleet, task_id: str) -> dict:
    letters: list[dict] = wait_for(lambda: found(fleet, "--id", task_id), "the letter to be in the ledger", 60)
    assert len(letters) == 1
    return letters[0]


def message(task: str, args: list, **embedded: object) -> Message:
    made = good_message("x", "x")
    made["headers"] |= {"task": task, "argsrepr": SECRET, "root_id": made["headers"]["id"]}
    made["body"] = json.dumps(
        [args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None} | embedded]
    )
    return made


def put(fleet, queue: str, sent: Message) -> str:
    """Put a message into a queue past Celery; return its task id."""
    if queue.startswith("core"):
        with redis.Redis.from_url(fleet.redis.url(0)) as client:
            client.lpush(queue, as_redis_keeps_it(sent, queue))
    else:
        with Connection(fleet.rabbitmq.url) as connection, connection.channel() as channel:
            channel.basic_publish(as_amqp(sent), exchange="", routing_key=queue)
    return str(sent["headers"]["id"])


def test_a_failure_is_found_shown_edited_and_replayed_and_its_chain_goes_on(fleet):
    mail = json.loads(
        yard(fleet, "send", "--to", "ada@example.org", "--template", "welcome", "--var", "name=Ada", "--json")
    )["id"]
    task_id = put(fleet, "core.default", message("core.record_mail", [{"status": SECRET}, mail]))
    letter = the_letter(fleet, task_id)
    number = letter["number"]
    assert (letter["reason"], letter["queue"], letter["broker"]) == ("failed", "core.default", "default")
    shown = yard(fleet, "dead", "show", number)
    assert "Traceback" in shown
    assert SECRET not in shown.partition("Traceback")[0].replace(letter["detail"], "")
    assert SECRET in yard(fleet, "dead", "show", number, "--arguments")
    assert "1 failed" in yard(fleet, "dead", "list")
    assert "1 (1 failed)" in yard(fleet, "status")
    assert f"replayed: {number}" in yard(fleet, "dead", "replay", "--id", task_id, "--dry-run")
    refused = yard(fleet, "dead", "edit", number, "--args", "[1]", expect=exit_codes.REFUSED)
    assert "does not take these arguments" in refused
    sent = {"status": "sent", "reason": None, "message_id": "<x@y>"}
    edited = yard(fleet, "dead", "edit", number, "--args", json.dumps([sent, mail]), "--replay")
    assert "1 dead letters are on their way" in edited
    wait_for(lambda: not found(fleet, "--id", task_id), "it to be replayed")
    assert found(fleet, "--id", task_id, "--all")[0]["replayed_at"]
    assert "replayed already" in yard(fleet, "dead", "replay", number)


@pytest.mark.parametrize("queue", ["core.default", "file.images"])
def test_what_fails_again_tells_what_it_was(fleet, queue):
    task_id = put(fleet, queue, message("nobody.has_this", []))
    first = the_letter(fleet, task_id)
    assert first["reason"] == "unknown task"
    yard(fleet, "dead", "replay", "--queue", queue, "--reason", "unknown-task", "--rate", "20")
    second = the_letter(fleet, task_id)
    assert second["number"] != first["number"]
    assert (second["replays"], second["replay_of"]) == (1, first["number"])
    refused = yard(fleet, "dead", "drop", second["number"], expect=exit_codes.REFUSED)
    assert "none was dropped" in refused
    assert "Dropped 1" in yard(fleet, "dead", "drop", second["number"], "--yes")
    assert not found(fleet, "--id", task_id)


def test_what_is_undecodable_stays_and_says_why(fleet):
    broken = message("core.record_mail", [])
    broken["body"] = "[[], {"
    letter = the_letter(fleet, put(fleet, "core.default", broken))
    said = yard(fleet, "dead", "replay", letter["number"], expect=exit_codes.FAILED)
    assert "can't be decoded" in said
    assert "can't be decoded" in yard(fleet, "dead", "show", letter["number"])
    assert found(fleet, "--id", letter["task_id"])


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory):
    """A ledger without a fleet."""
    place = SimpleNamespace(home=tmp_path_factory.mktemp("at-rest"))
    yard(place, "migrate")
    return place


def test_what_cannot_be_is_refused_in_one_line(at_rest):
    for arguments, why in [
        (("replay",), "Say which dead letters"),
        (("drop", "--yes"), "Say which dead letters"),
        (("show", 999_999), "no dead letter with the id '999999'"),
        (("replay", 999_999), "no dead letter with the id '999999'"),
        (("list", "--reason", "poisoned"), "Did you mean 'poison'?"),
        (("list", "--broker", "bach"), "Did you mean 'batch'?"),
        (("list", "--since", "yesterday"), "is no time"),
    ]:
        assert why in yard(at_rest, "dead", *arguments, expect=exit_codes.REFUSED)


def test_help_has_examples(at_rest):
    for command in ("list", "show", "replay", "edit", "drop"):
        assert f"yard dead {command}" in yard(at_rest, "dead", command, "--help")
