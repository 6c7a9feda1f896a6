"""Every line that a worker writes where no person looks is a JSON object, and says which task it is of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import child_environment
from tests.fixtures.brokers import environment
from tests.fixtures.workers import WorkerProcess
from tests.fleet.inspection import wait_for
from tests.fleet.logged import app
from tests.fleet.tables import WORKERS, served

ROOT = Path(__file__).parents[2]
FILE_ID = "job-20261121-k3f9x2m7qa-000001"


def lines(log: Path) -> list[dict]:
    """All lines from the first one on; before it Python may warn of what it was started with.

    The one line that is no JSON is what Celery writes from a signal handler, where nothing may be logged.
    """
    text = log.read_text()
    written = [line for line in text[text.index("{") :].splitlines() if line]
    return [json.loads(line) for line in written if line != "worker: Warm shutdown (MainProcess)"]


def start(worker, log: Path, form: str) -> WorkerProcess:
    arguments = (f"-Q{served(*worker)}", f"--pool={worker[1]}", "-c1", "-nlogs@here")
    with environment({"YARD_LOG_FORMAT": form}):
        return WorkerProcess("tests.fleet.logged", *arguments, log=log)


def speak(worker, log: Path) -> tuple[str, str]:
    """Have a worker run both tasks; return their ids once it has said that they are done."""
    queue = served(*worker)
    ids = (
        app.send_task("try.speak", ({"campaign_id": "autumn"}, "hello"), queue=queue).id,
        app.send_task("try.speak_of_a_file", (FILE_ID,), queue=queue).id,
    )
    wait_for(lambda: all(f"{each}] succeeded" in log.read_text() for each in ids), "both tasks to end")
    return ids


@pytest.mark.parametrize("worker", WORKERS, ids="-".join)
def test_lines_are_json_and_say_which_task_they_are_of(brokers, tmp_path, worker):
    log = tmp_path / "log"
    process = start(worker, log, "auto")
    try:
        spoken, filed = speak(worker, log)
    finally:
        process.stop()
    written = [line for line in lines(log) if line["logger"] == "somebody.else"]
    (said,) = [line for line in written if line["task"] == "try.speak"]
    assert said["message"] == "says hello"
    assert said["level"] == "WARNING"
    assert (said["task_id"], said["workflow"], said["campaign"]) == (spoken, spoken, "autumn")
    assert (said["service"], said["broker"], said["queue"]) == ("try", worker[0], served(*worker))
    (failed,) = [line for line in written if line["task"] == "try.speak_of_a_file"]
    assert (failed["task_id"], failed["file"], failed["job"]) == (filed, FILE_ID, FILE_ID.rpartition("-")[0])
    assert failed["message"] == "could not reach redis://:**@host/0"
    assert "'amqp://somebody:**@host/'" in failed["exc_info"]
    assert "secret" not in log.read_text()
    printed = [line for line in lines(log) if line["message"] == "prints hello"]
    assert [line["task_id"] for line in printed] == [spoken]


@pytest.mark.parametrize("worker", WORKERS[:1], ids="-".join)
def test_celerys_own_lines_say_which_task_they_speak_of(brokers, tmp_path, worker):
    log = tmp_path / "log"
    process = start(worker, log, "json")
    try:
        spoken, _ = speak(worker, log)
    finally:
        process.stop()
    of_the_task = [
        line for line in lines(log) if line.get("task_id") == spoken and line["logger"].startswith("celery.")
    ]
    assert {line["task"] for line in of_the_task} == {"try.speak"}
    assert [line["message"].partition("]")[2].split()[0] for line in of_the_task if "]" in line["message"]] == [
        "received", "succeeded",
    ]  # fmt: skip
    assert {line["broker"] for line in lines(log) if "ready." in line["message"]} == {worker[0]}


def test_text_is_celerys_own_and_names_the_task_of_a_line(brokers, tmp_path):
    log, worker = tmp_path / "log", WORKERS[0]
    process = start(worker, log, "text")
    try:
        spoken, _ = speak(worker, log)
    finally:
        process.stop()
    (said,) = [line for line in log.read_text().splitlines() if "says hello" in line]
    assert "WARNING/ForkPoolWorker-1] says hello [task=try.speak" in said
    assert f"task_id={spoken}" in said
    assert "secret" not in log.read_text()


@pytest.mark.parametrize("command", ["observer", "beat"])
def test_other_processes_write_json_too(brokers, tmp_path, command):
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.core.cli.main", command],
            env=child_environment({"YARD_LOG_FORMAT": "auto", "YARD_METRICS_PORT": "0", "YARD_HOME": str(tmp_path)}),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: log.read_text().endswith("}\n"), "a line", 60)
    finally:
        process.terminate()
        process.wait(30)
    assert {line["service"] for line in lines(log)} == {{"observer": "observer", "beat": "core"}[command]}


def test_passwords_of_the_settings_are_masked_wherever_they_stand(tmp_path):
    program = """
import logging
from shared.logs import log_to_stderr
log_to_stderr("test")
logging.error("it said: user or pass-word-1 or pass/word-2 wrong", extra={"data": "not told"})
"""
    told = subprocess.run(
        [sys.executable, "-c", program],
        env=child_environment(
            {
                "YARD_LOG_FORMAT": "json",
                "YARD_HOME": str(tmp_path),
                "YARD_SMTP_PASSWORD": "pass-word-1",
                "YARD_STATE_URL": "redis://:pass%2Fword-2@127.0.0.1:1/0",
            }
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (line,) = told.stderr.splitlines()
    assert json.loads(line)["message"] == "it said: user or ** or ** wrong"
    assert "not told" not in line
