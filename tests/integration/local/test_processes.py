from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import psutil
import pytest

from services.core.local.processes import ChildProcess
from shared.settings import child_environment
from tests.integration.local.survivors import await_no_process_of, await_true, processes_of

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"])
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("settled in", flush=True)
signal.pause()
"""

PARENT = """
import signal, sys
from pathlib import Path
from services.core.local.processes import ChildProcess
from shared.settings import child_environment
folder = Path(sys.argv[1])
child = ChildProcess("sleeper", ["sleep", "600"], log=folder / "log", environment=child_environment(), folder=folder)
child.start()
print(child.pid, flush=True)
signal.pause()
"""


def child(folder: Path, *argv: str) -> ChildProcess:
    return ChildProcess("child", argv, log=folder / "child.log", environment=child_environment(), folder=folder)


def test_a_child_that_ignores_the_polite_request_is_killed_with_all_its_children(tmp_path):
    stubborn = child(tmp_path, sys.executable, "-c", STUBBORN)
    stubborn.start()
    await_true(lambda: "settled in" in stubborn.output())
    assert len(processes_of(tmp_path)) == 3

    stubborn.stop(grace=0.1)

    assert not stubborn.alive
    assert stubborn.exit_code == -signal.SIGKILL
    await_no_process_of(tmp_path)


def test_whether_a_child_runs_can_be_asked_while_another_thread_ends_it(tmp_path):
    sleeper = child(tmp_path, "sleep", "600")
    answers: set[bool] = set()

    def end_again_and_again() -> None:
        for _ in range(20):
            sleeper.start()
            sleeper.kill()

    ending = Thread(target=end_again_and_again)
    ending.start()
    while ending.is_alive():
        answers.add(sleeper.alive)
    ending.join()
    assert answers == {True, False}


def test_a_paused_child_can_be_stopped_politely(tmp_path):
    sleeper = child(tmp_path, "sleep", "600")
    sleeper.start()
    sleeper.pause()
    sleeper.stop(grace=30)
    assert sleeper.exit_code == -signal.SIGTERM


def test_a_child_outlives_the_thread_that_started_it(tmp_path):
    sleeper = child(tmp_path, "sleep", "600")
    thread = Thread(target=sleeper.start)
    thread.start()
    thread.join()
    try:
        assert sleeper.wait(0.5) is None
        assert sleeper.alive
    finally:
        sleeper.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        sleeper = psutil.Process(int(parent.stdout.readline()))
        assert sleeper.is_running()
        parent.kill()
    await_no_process_of(tmp_path)


def test_the_end_of_the_log_is_that_of_the_last_start(tmp_path):
    talker = child(tmp_path, "sh", "-c", "echo one two; exit 7")
    for _ in range(2):
        talker.start()
        assert talker.wait(10) == 7
    assert talker.output() == "one two\n"
    assert talker.log.read_text() == "one two\none two\n"
    assert talker.log_tail() == f"The end of {talker.log}:\n  | one two"


def test_a_program_that_is_missing_is_named_in_the_log(tmp_path):
    missing = child(tmp_path, "no-such-program")
    missing.start()
    assert missing.wait(10) == 1
    assert "no-such-program cannot be run: No such file or directory" in missing.log_tail()


def test_a_folder_that_is_missing_is_an_error_and_leaves_a_child_that_can_be_started_later(tmp_path):
    lost = child(tmp_path / "lost", "true")
    lost.log = tmp_path / "log"
    with pytest.raises(FileNotFoundError):
        lost.start()
    assert not lost.alive
    (tmp_path / "lost").mkdir()
    lost.start()
    assert lost.wait(10) == 0
