from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.core.local import supervisor
from services.core.local.detached import start_detached, stop_detached
from services.core.local.errors import FleetAlreadyRunning, StartFailed
from services.core.local.state import Phase, is_locked, read_state
from tests.integration.local import plans
from tests.integration.local.survivors import await_no_process_of, await_true, processes_of

pytestmark = pytest.mark.brokers

ALL_KINDS = {"redis-server", "beam.smp", "epmd", "sleep"}


def named(plan: object) -> str:
    return f"{plans.__name__}:{getattr(plan, '__name__', '')}"


@contextmanager
def supervised(home: Path, plan: object) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", supervisor.__name__, "--home", str(home), "--plan", named(plan)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def has_logged(home: Path, name: str, text: str = "") -> bool:
    log = home / "logs" / f"{name}.log"
    return log.exists() and text in log.read_text()


def phase_of(home: Path) -> Phase | None:
    state = read_state(home)
    return state.phase if state else None


MOMENTS: list[tuple[str, object, Callable[[Path], bool]]] = [
    ("the lock is taken", plans.quiet, is_locked),
    ("RabbitMQ boots", plans.quiet, lambda home: has_logged(home, "rabbitmq", "Starting broker")),
    ("RabbitMQ listens", plans.quiet, lambda home: has_logged(home, "rabbitmq", "started TCP listener")),
    ("a preparation runs", plans.slow_to_prepare, lambda home: has_logged(home, "prepare")),
    ("processes become ready", plans.never_ready, lambda home: has_logged(home, "mute")),
    ("everything runs", plans.quiet, lambda home: phase_of(home) is Phase.READY),
]


@pytest.mark.parametrize(("plan", "moment"), [m[1:] for m in MOMENTS], ids=[m[0] for m in MOMENTS])
def test_an_interrupt_leaves_nothing_behind_when(tmp_path, plan, moment):
    with supervised(tmp_path, plan) as process:
        await_true(lambda: moment(tmp_path))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not processes_of(tmp_path)
    assert phase_of(tmp_path) in (None, Phase.STOPPED)


def test_a_second_interrupt_does_not_wait_for_what_does_not_end(tmp_path):
    with supervised(tmp_path, plans.stubborn) as process:
        await_true(lambda: phase_of(tmp_path) is Phase.READY)
        process.send_signal(signal.SIGINT)
        await_true(lambda: phase_of(tmp_path) is Phase.STOPPING)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not processes_of(tmp_path)


def test_an_interrupt_while_a_detached_fleet_starts_ends_its_supervisor_too(tmp_path):
    # A shell without job control has its background jobs ignore the interrupt, and so would this child of theirs.
    program = f"""
import signal
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from {start_detached.__module__} import start_detached
start_detached(Path({str(tmp_path)!r}), plan={named(plans.quiet)!r})
"""
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as process:
        await_true(lambda: has_logged(tmp_path, "rabbitmq"))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0
    assert not processes_of(tmp_path)
    assert phase_of(tmp_path) is Phase.STOPPED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_nothing_outlives_a_supervisor_that_is_killed_and_the_next_one_takes_over(tmp_path):
    with supervised(tmp_path, plans.quiet) as process:
        await_true(lambda: phase_of(tmp_path) is Phase.READY)
        await_true(lambda: {child.name() for child in processes_of(tmp_path)} >= ALL_KINDS)
        process.kill()
    await_no_process_of(tmp_path)
    state = read_state(tmp_path)
    assert state is not None
    assert (state.phase, state.why) == (Phase.FAILED, "The fleet was killed.")
    assert start_detached(tmp_path, plan=named(plans.quiet)).phase is Phase.READY
    assert stop_detached(tmp_path)


def test_a_detached_fleet_runs_until_it_is_stopped(tmp_path):
    told: list[tuple[str, Phase]] = []
    state = start_detached(tmp_path, plan=named(plans.busy), progress=lambda *news: told.append(news))
    try:
        assert state.phase is Phase.READY
        assert {name for name, phase in told if phase is Phase.READY} == set(state.services)
        await_true(lambda: {process.name() for process in processes_of(tmp_path)} >= ALL_KINDS)
        with pytest.raises(FleetAlreadyRunning):
            start_detached(tmp_path, plan=named(plans.quiet))
        told.clear()
    finally:
        assert stop_detached(tmp_path, progress=lambda *news: told.append(news))
    assert not processes_of(tmp_path)
    assert phase_of(tmp_path) is Phase.STOPPED
    assert ("rabbitmq", Phase.STOPPED) in told
    assert Phase.READY not in {phase for _, phase in told}
    assert not stop_detached(tmp_path)


def test_a_detached_fleet_that_cannot_start_says_why_and_leaves_nothing(tmp_path):
    with pytest.raises(StartFailed, match="the ledger is older than this program"):
        start_detached(tmp_path, plan=named(plans.broken))
    assert not processes_of(tmp_path)
    with pytest.raises(StartFailed, match="No module named 'no_such_module'"):
        start_detached(tmp_path, plan="no_such_module:plan")


def test_there_is_nothing_to_stop_where_no_fleet_ever_was(tmp_path):
    assert not stop_detached(tmp_path / "nowhere")


def test_an_interrupt_that_python_swallows_ends_the_fleet_all_the_same(tmp_path):
    with supervised(tmp_path, plans.interrupted_in_a_finalizer) as process:
        assert process.wait(60) == 0
    assert not processes_of(tmp_path)
    assert phase_of(tmp_path) is Phase.STOPPED
