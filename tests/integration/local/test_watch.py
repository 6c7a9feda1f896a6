from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.core.local import restarts
from services.core.local.processes import ChildProcess
from services.core.local.record import FleetRecord
from services.core.local.restarts import LIMIT, WINDOW_SECONDS, RestartBudget
from services.core.local.service import Service
from services.core.local.state import Phase, read_state
from services.core.local.watch import Watch
from shared.settings import child_environment
from tests.integration.local.survivors import await_true


class Command(Service):
    """A service that is one command and ready at once."""

    def __init__(self, folder: Path, *argv: str) -> None:
        self.name = argv[0]
        self._process = ChildProcess(
            self.name, argv, log=folder / "log", environment=child_environment(), folder=folder
        )

    @property
    def processes(self) -> Sequence[ChildProcess]:
        return (self._process,)

    def is_ready(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch):
    monkeypatch.setattr(restarts, "FIRST_DELAY_SECONDS", 0.01)


def test_a_service_that_is_killed_is_started_again_and_the_restart_is_on_record(tmp_path):
    phases: list[Phase] = []
    with Command(tmp_path, "sleep", "600") as sleeper:
        first = sleeper.processes[0].pid
        watch = Watch([sleeper], FleetRecord(tmp_path, os.getpid(), lambda _, phase: phases.append(phase)))
        sleeper.kill()
        await_true(lambda: phases == [Phase.RESTARTING, Phase.STARTING, Phase.READY])
        watch.stop()
        state = read_state(tmp_path)
        assert state is not None
        assert state.services["sleep"].restarts == 1
        assert [process.pid for process in state.services["sleep"].processes] == [sleeper.processes[0].pid]
        assert sleeper.processes[0].pid != first


def test_a_service_that_ends_again_and_again_is_given_up(tmp_path):
    phases: list[Phase] = []
    failing = Command(tmp_path, "sh", "-c", "echo started")
    watch = Watch([failing], FleetRecord(tmp_path, os.getpid(), lambda _, phase: phases.append(phase)))
    await_true(lambda: phases[-1:] == [Phase.FAILED])
    watch.stop()
    assert phases.count(Phase.RESTARTING) == LIMIT
    assert (tmp_path / "log").read_text() == "started\n" * LIMIT


def test_restarts_wait_longer_each_time_and_are_free_again_after_a_quiet_minute(monkeypatch):
    monkeypatch.undo()
    budget = RestartBudget()
    assert [budget.spend(now=100.0 + second) for second in range(LIMIT)] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert budget.spend(now=110.0) is None
    assert budget.spend(now=104.0 + WINDOW_SECONDS) == 0.5
