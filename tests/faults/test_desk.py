"""What a task is told of its acknowledgement is what became of it, however late the loop of its worker comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared.settings import child_environment
from tests.fixtures.workers import ROOT

CHILD_ASKS = """
import os, select, sys, time
from shared.worker import desk
desk.ANSWER_WITHIN_SECONDS = patience = 3.0
acknowledged = []
def tell(task_id, execution):
    if when == "served in time":
        time.sleep(1.2 * patience)  # the broker takes its time
    acknowledged.append((task_id, execution))
    return True
when = sys.argv[1]
asked = desk.ProcessDesk(tell)
answers, answer = os.pipe()
child = os.fork()
if child == 0:
    os.write(answer, str(asked.ask("task", "execution")).encode())
    time.sleep(600)
assert select.select([asked._serving], [], [], 30)[0]
told = b""
if when == "served too late":
    told = os.read(answers, 10)
elif when == "its asker died":
    os.kill(child, 9)
    os.waitpid(child, 0)
asked.serve()
if when == "served in time":
    told = os.read(answers, 10)
if when != "its asker died":
    os.kill(child, 9)
    os.waitpid(child, 0)
print(told.decode(), acknowledged)
"""


@pytest.mark.parametrize(
    ("when", "outcome"),
    [("served in time", "True [('task', 'execution')]"), ("served too late", "False []"), ("its asker died", "[]")],
)
def test_answer_and_deed_agree(when, outcome):
    ended = subprocess.run(
        [sys.executable, "-c", CHILD_ASKS, when],
        env=child_environment({}),
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stdout.strip() == outcome, ended.stderr
