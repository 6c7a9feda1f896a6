"""A task tells how far it is, and who asks sees it: by ``AsyncResult``, and by ``yard job``."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

import pytest

from services.core.cli import exit_codes
from services.core.ledger.migrations import upgrade
from shared.names import BrokerName
from shared.queues import Pool
from shared.settings import child_environment, load_settings
from tests.fixtures.stores import CREW, SOLO
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for
from tests.fleet.storing import go_on, has_begun

pytestmark = pytest.mark.concept("progress")

YARD = [sys.executable, "-m", "services.core.cli.main"]
ON_REDIS = pytest.mark.parametrize("store", ["redis"], indirect=True, scope="module")
STEPS = 4
SECONDS = 30


@pytest.fixture
def key() -> str:
    return uuid4().hex


@pytest.fixture
def ledger_here(store, tmp_path, monkeypatch) -> Iterator[None]:
    """A ledger for ``yard``, beside the result store of the workers."""
    monkeypatch.setenv("YARD_HOME", str(tmp_path))
    load_settings.cache_clear()
    upgrade(load_settings().ledger_url)
    yield
    monkeypatch.undo()
    load_settings.cache_clear()


def told(key: str, step: int) -> bool:
    """Whether a task has told of a step."""
    return has_begun(key) == step


def yard(*arguments: object, expect: int) -> str:
    done = subprocess.run(
        [*YARD, *map(str, arguments)],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env=child_environment(),
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("store", ["redis", "postgresql"], indirect=True, scope="module")
@pytest.mark.parametrize(("target", "pool"), [*CREW, SOLO], ids=["-".join(each) for each in (*CREW, SOLO)])
def test_each_step_is_seen_by_who_asks(store, key, target, pool):
    result = store.send("progress", key, STEPS, target=target, pool=pool)
    for step in range(1, STEPS + 1):
        wait_for(partial(told, key, step), f"step {step}")
        asked = store.app.AsyncResult(result.id)
        assert asked.state == "PROGRESS"
        assert asked.info == {"current": step, "total": STEPS, "stage": "counting"}
        assert not asked.ready()
        go_on(key)
    assert result.get(timeout=SECONDS) == STEPS
    assert store.app.AsyncResult(result.id).info == STEPS


@ON_REDIS
def test_yard_follows_a_task_to_its_end(store, ledger_here, key):
    result = store.send("progress", key, STEPS, target=BrokerName.BATCH, pool=Pool.PREFORK)
    with watching(result.id) as lines:
        for step in range(1, STEPS + 1):
            assert f"{result.id}: PROGRESS, {step} of {STEPS}  counting" in until(lines, f"{step} of {STEPS}")
            go_on(key)
        assert f"SUCCESS  {result.id}  {STEPS}" in until(lines, "SUCCESS  ")
    outcome = json.loads(yard("job", result.id, "--json", expect=exit_codes.OK))
    assert outcome == {"id": result.id, "state": "SUCCESS", "result": STEPS, "reason": None, "kind": "task"}


@ON_REDIS
def test_yard_draws_a_bar_on_a_terminal(store, ledger_here, key):
    result = store.send("progress", key, STEPS, target=BrokerName.BATCH, pool=Pool.PREFORK)
    master, slave = pty.openpty()
    bar = subprocess.Popen(
        [*YARD, "job", result.id, "--watch"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=child_environment({"COLUMNS": "160"}),
    )  # fmt: skip
    os.close(slave)
    try:
        drawn = b""
        for step in range(1, STEPS + 1):
            while f"{step}/{STEPS}".encode() not in drawn:
                drawn += os.read(master, 65536)
            go_on(key)
        assert b"counting" in drawn
        assert "━".encode() in drawn
        assert bar.wait(SECONDS) == exit_codes.OK
    finally:
        bar.kill()
        bar.wait()
        os.close(master)


@ON_REDIS
def test_yard_gives_up_following_and_says_so_by_its_exit_code(store, ledger_here, key):
    result = store.send("progress", key, 1, target=BrokerName.BATCH, pool=Pool.PREFORK)
    wait_for(lambda: has_begun(key), "the task to begin")
    assert "PROGRESS, 1 of 1" in yard("job", result.id, "--watch", "--timeout=0.5", expect=exit_codes.TIMED_OUT)
    go_on(key)
    assert result.get(timeout=SECONDS) == 1


@ON_REDIS
def test_yard_tells_why_a_task_failed(store, ledger_here):
    result = store.send("fail", target=BrokerName.BATCH, pool=Pool.PREFORK)
    assert "ValueError: as asked" in yard("job", result.id, "--watch", "--timeout=30", expect=exit_codes.FAILED)


@ON_REDIS
def test_yard_shortens_a_long_result_and_prints_it_whole_as_json(store, ledger_here):
    result = store.send("text", "x", 50_000, target=BrokerName.BATCH, pool=Pool.PREFORK)
    assert len(result.get(timeout=SECONDS)) == 50_000
    assert "(50002 characters; --json prints all)" in yard("job", result.id, expect=exit_codes.OK)
    assert len(json.loads(yard("job", result.id, "--json", expect=exit_codes.OK))["result"]) == 50_000


@ON_REDIS
def test_yard_knows_no_task_that_nobody_has_heard_of(store, ledger_here):
    assert "There is no job, campaign or mail" in yard("job", uuid4(), expect=exit_codes.REFUSED)


@contextmanager
def watching(task_id: str) -> Iterator[Iterator[str]]:
    """Follow a task by ``yard job --watch``; yields the lines that it prints, as they come."""
    with subprocess.Popen(
        [*YARD, "job", task_id, "--watch"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, env=child_environment(),
    ) as command:  # fmt: skip
        try:
            assert command.stdout is not None
            yield iter(command.stdout)
            assert command.wait(SECONDS) == exit_codes.OK
        finally:
            command.kill()


def until(lines: Iterator[str], wanted: str) -> str:
    """Read lines until one has what is wanted; return it."""
    return next(line for line in lines if wanted in line)
