"""Counts made in a process and in its children add up, whatever becomes of these."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from shared.tallies import ENTRIES, TEXT_BYTES

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, os, sys
from types import SimpleNamespace
from billiard import process
from shared import tallies

COLOURS = tallies.Tally("colours", "Colours.", ("colour",))


def child(index, count, dies):
    pid = os.fork()
    if pid == 0:
        process._current_process = SimpleNamespace(index=index)
        count()
        os.kill(os.getpid(), 9) if dies else os._exit(0)
    os.waitpid(pid, 0)


def told():
    return sorted([name, *labels, count] for (name, labels), count in tallies.read_tallies().items())


{body}
print(json.dumps(told()))
"""


def counted(body: str) -> list[list[object]]:
    """What a process of its own tells at the end of a program."""
    program = PROGRAM.replace("{body}", body)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    found: list[list[object]] = json.loads(done.stdout)
    return found


def test_nothing_is_counted_where_nobody_reads():
    assert counted("COLOURS.count('red')") == []


def test_children_and_parent_add_up_and_a_killed_child_loses_nothing():
    body = """
tallies.open_tallies()
COLOURS.count("red")
child(0, lambda: COLOURS.count("red", by=2), dies=True)
child(1, lambda: COLOURS.count("blue"), dies=False)
child(0, lambda: (COLOURS.count("blue"), COLOURS.count("red")), dies=True)
"""
    assert counted(body) == [["colours", "colour=blue", 2], ["colours", "colour=red", 4]]


def test_a_process_that_the_pool_does_not_know_counts_nothing():
    body = """
tallies.open_tallies()
child(None, lambda: COLOURS.count("red"), dies=False)
child(10_000, lambda: COLOURS.count("red"), dies=False)
"""
    assert counted(body) == []


def test_what_finds_no_place_is_counted_as_that():
    body = f"""
tallies.open_tallies()
for number in range({ENTRIES} + 10):
    COLOURS.count(str(number))
COLOURS.count("x" * {TEXT_BYTES})
"""
    found = counted(body)
    assert len(found) == ENTRIES
    assert found[-1] == ["switchyard_tallies_lost", 12]


def test_threads_of_one_process_lose_no_count():
    body = """
from concurrent.futures import ThreadPoolExecutor
sys.setswitchinterval(1e-6)
tallies.open_tallies()
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda number: [COLOURS.count("red") for _ in range(5_000)], range(8)))
"""
    assert counted(body) == [["colours", "colour=red", 40_000]]
