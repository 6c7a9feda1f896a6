"""A fleet that runs has its processes restarted, one after the other."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.local.detached import start_detached, stop_detached
from services.core.local.errors import NotRestarted
from services.core.local.rolling import REQUEST_FILE, restart_one, restartable
from services.core.local.state import FleetState, Phase, read_state
from tests.fixtures.workers import ROOT
from tests.integration.local import plans
from tests.integration.local.survivors import await_true

pytestmark = pytest.mark.brokers


def state_of(home: Path) -> FleetState:
    state = read_state(home)
    assert state is not None
    return state


def leaders(home: Path) -> dict[str, int]:
    return {name: service.processes[0].pid for name, service in state_of(home).services.items()}


@pytest.fixture
def home(tmp_path, request) -> Iterator[Path]:
    plan = getattr(request, "param", plans.busy)
    start_detached(tmp_path, plan=f"{plans.__name__}:{plan.__name__}")
    yield tmp_path
    stop_detached(tmp_path)


def test_all_processes_are_new_and_servers_are_the_same(home):
    before = leaders(home)
    names = restartable(home, [])
    assert names == ["sleeper", "server"]
    for name in names:
        restart_one(home, name)
        assert {service.phase for service in state_of(home).services.values()} == {Phase.READY}
    after = leaders(home)
    assert {name for name in after if after[name] != before[name]} == set(names)
    assert {service.restarts for service in state_of(home).services.values()} == {0}
    assert restartable(home, ["server"]) == ["server"]
    with pytest.raises(NotRestarted, match="no process 'redis' to restart; there are sleeper, server"):
        restartable(home, ["redis"])
    # One that was restarted is watched as before.
    process = state_of(home).services["sleeper"].processes[0].process()
    assert process is not None
    process.kill()
    await_true(lambda: state_of(home).services["sleeper"].restarts == 1)


@pytest.mark.parametrize("home", [plans.once], indirect=True)
def test_one_that_does_not_come_back_is_told_of(home):
    with pytest.raises(NotRestarted, match=r"once is not ready after its restart; .*logs/once\.log"):
        restart_one(home, "once")


@pytest.mark.parametrize("home", [plans.leisurely], indirect=True)
def test_an_interrupt_leaves_the_process_whose_turn_it_is_to_the_supervisor(home):
    before = leaders(home)
    program = f"""
import signal
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from {restart_one.__module__} import restart_one
restart_one(Path({str(home)!r}), "leisurely")
"""
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        await_true(lambda: state_of(home).services["leisurely"].phase is Phase.STOPPING)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) != 0
    assert state_of(home).services["leisurely"].phase is Phase.STOPPING
    await_true(lambda: state_of(home).services["leisurely"].phase is Phase.READY)
    assert leaders(home) != before
    assert not (home / REQUEST_FILE).exists()


def test_there_is_nothing_to_restart_where_no_fleet_runs(tmp_path):
    with pytest.raises(NotRestarted, match="Start it with `yard up`"):
        restartable(tmp_path, [])
