"""``yard queues``, ``workers``, ``schedule`` and ``top`` say what brokers and workers say, and act on them."""

from __future__ import annotations

import json
import os
import pty
import re
import struct
import subprocess
import termios
from contextlib import suppress
from fcntl import ioctl

import pytest
import redis

from services.core.app import app
from services.core.cli import exit_codes
from shared.settings import child_environment
from tests.fixtures.two_queues import ON_RABBITMQ, ON_REDIS, TASK, clean
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fixtures.yard import YARD, yard
from tests.fleet.inspection import wait_for

NOBODY_LISTENS = {"YARD_BROKER_CRITICAL_URL": "redis://:hidden@127.0.0.1:9/1"}
ENTRY = "remove the files of old jobs"


@pytest.fixture(scope="module")
def _migrated(brokers):
    yard("migrate")


@pytest.fixture(autouse=True)
def _empty(_migrated):
    """Nothing lies in the two queues, and nothing is paused, before and after."""
    clean()
    yield
    clean()


def queues(**options) -> dict[str, dict]:
    return {queue["name"]: queue for queue in json.loads(yard("queues", "--json", **options)[0])["queues"]}


def test_what_is_shown_is_what_the_brokers_have():
    for priority in (0, 9, 9):
        app.send_task(TASK, queue=ON_REDIS, priority=priority)
    app.send_task(TASK, queue=ON_RABBITMQ)
    later = app.send_task(TASK, queue=ON_RABBITMQ, countdown=3600)
    try:
        shown = queues()
        client = redis.Redis.from_url(app.brokers["default"].url.get_secret_value())
        with client:
            assert shown[ON_REDIS]["ready"] == sum(client.llen(key) for key in client.keys(f"{ON_REDIS}*"))
        assert {key: count for key, count in shown[ON_REDIS]["by_priority"].items() if count} == {"0": 1, "9": 2}
        assert shown[ON_REDIS]["oldest_seconds"] >= 0
        assert (shown[ON_RABBITMQ]["ready"], shown[ON_RABBITMQ]["delayed"]) == (1, 1)
        assert (shown[ON_REDIS]["consumers"], shown[ON_RABBITMQ]["consumers"]) == (0, 0)
        line = next(line for line in yard("queues")[0].splitlines() if line.startswith(ON_REDIS))
        assert "9:2 0:1" in line
        assert line.endswith("no worker")
    finally:
        later.revoke()


def test_a_broker_that_is_away_is_unknown_and_the_others_are_told():
    shown = queues(variables=NOBODY_LISTENS, expect=exit_codes.OUT_OF_REACH)
    assert (shown["email.critical"]["up"], shown["email.critical"]["ready"]) == (False, None)
    assert shown[ON_RABBITMQ]["up"]
    told, complaint = yard("queues", variables=NOBODY_LISTENS, expect=exit_codes.OUT_OF_REACH)
    assert "unknown" in told
    assert "can't be asked" in complaint
    assert "hidden" not in told + complaint


def test_a_pause_is_shown_with_who_and_lasts_until_a_resume():
    assert "is paused" in yard("queues", "pause", ON_REDIS)[0]
    assert "was paused before" in yard("queues", "pause", ON_REDIS)[0]
    assert queues()[ON_REDIS]["paused"]["by"]
    assert "paused by" in yard("queues")[0]
    assert "is resumed" in yard("queues", "resume", ON_REDIS)[0]
    assert "was not paused" in yard("queues", "resume", ON_REDIS)[0]
    assert queues()[ON_REDIS]["paused"] is None
    _, complaint = yard("queues", "pause", ON_REDIS, "core.maintenanc", expect=exit_codes.REFUSED)
    assert "core.maintenance" in complaint
    assert queues()[ON_REDIS]["paused"] is None


@pytest.mark.parametrize("queue", [ON_REDIS, ON_RABBITMQ])
def test_a_purge_asks_and_counts(queue):
    for _ in range(3):
        app.send_task(TASK, queue=queue)
    wait_for(lambda: queues()[queue]["ready"] == 3, "all to be there")
    _, complaint = yard("queues", "purge", queue, expect=exit_codes.REFUSED)
    assert "3 messages" in complaint
    assert json.loads(yard("queues", "purge", queue, "--yes", "--json")[0]) == {"queue": queue, "removed": 3}
    assert queues()[queue]["ready"] == 0


def test_a_peek_shows_what_goes_out_next_and_delivers_nothing():
    ids = {priority: app.send_task(TASK, ("a-secret",), queue=ON_REDIS, priority=priority).id for priority in (0, 9, 4)}
    client = redis.Redis.from_url(app.brokers["default"].url.get_secret_value())
    with client:
        before = {key: client.lrange(key, 0, -1) for key in client.keys(f"{ON_REDIS}*")}
        told, _ = yard("queues", "peek", ON_REDIS, "--json")
        assert {key: client.lrange(key, 0, -1) for key in client.keys(f"{ON_REDIS}*")} == before
    peeked = json.loads(told)
    assert peeked["source"] == "broker"
    assert [task["id"] for task in peeked["tasks"]] == [ids[9], ids[4], ids[0]]
    assert "a-secret" not in told
    assert "a-secret" in yard("queues", "peek", ON_REDIS, "--arguments", "--limit", 1)[0]
    assert yard("queues", "peek", ON_REDIS, "--limit", 2)[0].count(TASK) == 2


def test_a_peek_at_rabbitmq_asks_the_history():
    with subprocess.Popen([*YARD, "recorder"], env=child_environment(), cwd=ROOT, stderr=subprocess.PIPE) as recorder:
        try:
            assert recorder.stderr is not None
            heard = iter(recorder.stderr.readline, b"")
            next(line for line in heard if b"Events of broker batch" in line)
            sent = app.send_task(TASK, queue=ON_RABBITMQ)

            def peeked() -> list[str]:
                told = json.loads(yard("queues", "peek", ON_RABBITMQ, "--json")[0])
                assert told["source"] == "history"
                return [task["id"] for task in told["tasks"]]

            wait_for(lambda: sent.id in peeked(), "it to be recorded")
            yard("queues", "purge", ON_RABBITMQ, "--yes")
            assert sent.id not in peeked()
        finally:
            recorder.terminate()


def test_a_worker_is_shown_with_what_it_runs_and_can_be_drained(tmp_path):
    options = (f"-Q{ON_REDIS}", "-c1", "--pool=threads", "-ndrained@test", "--without-mingle")
    worker = WorkerProcess("services.core", *options, log=tmp_path / "worker.log")
    try:
        (shown,) = json.loads(yard("workers", "--json")[0])["workers"]
        assert (shown["name"], shown["broker"], shown["queues"]) == ("drained@test", "default", [ON_REDIS])
        assert shown["memory_kib"] > 10_000
        assert (shown["pool"], shown["processes"], shown["running"]) == ("thread", 1, [])
        assert queues()[ON_REDIS]["consumers"] == 1
        assert "takes nothing more" in yard("workers", "drain", "drained")[0]
        wait_for(lambda: queues()[ON_REDIS]["consumers"] == 0, "it to leave its queue")
        sent = app.send_task(TASK, queue=ON_REDIS)
        assert queues()[ON_REDIS]["ready"] == 1
        yard("workers", "undrain", "drained", ON_REDIS)
        assert isinstance(sent.get(timeout=60), int)
        _, complaint = yard("workers", "drain", "draind", expect=exit_codes.REFUSED)
        assert "drained@test" in complaint
    finally:
        worker.stop()


def test_the_schedule_is_shown_paused_and_run():
    try:
        assert "is paused" in yard("schedule", "pause", ENTRY)[0]
        entries = {entry["name"]: entry for entry in json.loads(yard("schedule", "--json")[0])["entries"]}
        assert entries[ENTRY]["schedule"] == "30 3 * * *"
        assert "is resumed" in yard("schedule", "resume", ENTRY)[0]
        task_id = json.loads(yard("schedule", "run", ENTRY, "--json")[0])["task_id"]
        peeked = json.loads(yard("queues", "peek", ON_REDIS, "--json")[0])
        assert [task["id"] for task in peeked["tasks"]] == [task_id]
        _, complaint = yard("schedule", "run", "remove the files", expect=exit_codes.REFUSED)
        assert "no entry" in complaint
    finally:
        yard("schedule", "resume", ENTRY)


def test_revoked_tasks_are_taken_out_of_what_waits():
    later = app.send_task(TASK, queue=ON_REDIS, countdown=3600)
    assert queues()[ON_REDIS]["delayed"] == 1
    yard("tasks", "revoke", later.id)
    assert queues()[ON_REDIS]["delayed"] == 0


def test_into_a_pipe_top_is_printed_once():
    told, _ = yard("top")
    assert ON_RABBITMQ in told
    assert "\x1b" not in told


def test_on_a_small_terminal_top_fits_and_q_ends_it():
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    variables = child_environment({"TERM": "xterm", "COLUMNS": "80", "LINES": "24"})
    top = subprocess.Popen([*YARD, "top"], stdin=child, stdout=child, stderr=child, env=variables, cwd=ROOT)
    os.close(child)
    shown = ""

    def read() -> bool:
        nonlocal shown
        with suppress(OSError):
            shown += os.read(parent, 65_536).decode(errors="replace")
        return "q quits" in shown

    try:
        wait_for(read, "the first picture", 60)
        os.write(parent, b"q")
        wait_for(lambda: read() and top.poll() is not None, "it to end", 60)
        assert top.returncode == 0
    finally:
        top.kill()
        top.wait(10)
        os.close(parent)
    *_, picture = re.split(r"\x1b\[H", shown.partition("q quits")[0])
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", picture).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert ON_REDIS in shown


@pytest.mark.parametrize("command", ["queues", "workers", "tasks", "workflows", "schedule", "top"])
def test_help_has_examples(command):
    assert "Example" in yard(command, "--help")[0]
