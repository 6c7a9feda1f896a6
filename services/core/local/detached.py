"""Start a fleet that goes on running after this process, and stop it again."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from services.core.local import supervisor
from services.core.local.errors import StartFailed
from services.core.local.private_files import private_folder
from services.core.local.processes import is_alive
from services.core.local.record import Progress
from services.core.local.state import (
    FleetState,
    Phase,
    already_running,
    end_leftovers,
    is_locked,
    locked,
    read_state,
)
from services.core.local.waiting import wait_until
from shared.settings import child_environment

START_SECONDS = 600.0
"""The supervisor has deadlines of its own; this one is for a supervisor that hangs."""


def start_detached(
    home: Path, *, plan: str = supervisor.SWITCHYARD, progress: Progress = lambda _name, _phase: None
) -> FleetState:
    """Start a fleet under a supervisor of its own, and wait until everything answers.

    Args:
        home: Folder for everything that the fleet writes; the supervisor's log is ``logs/supervisor.log``.
        plan: ``module:function`` of a planner (``specs.Planner``) that the supervisor can import.
        progress: Is told of each service's phases.

    Returns:
        What the fleet says about itself.

    Raises:
        FleetAlreadyRunning: A fleet lives in the folder; it was left alone.
        StartFailed: Something did not start; everything was stopped again.
    """
    home = home.resolve()
    if is_locked(home):
        raise already_running(home)
    log = private_folder(home / "logs") / "supervisor.log"
    log_start = log.stat().st_size if log.exists() else 0
    process = _spawn([sys.executable, "-m", supervisor.__name__, "--home", str(home), "--plan", plan], log)
    supervised = _Supervised(home, process, progress)
    try:
        wait_until(supervised.has_settled, START_SECONDS)
        state = supervised.state()
    except BaseException:
        supervised.end()
        raise
    if state and state.phase is Phase.READY:
        return state
    supervised.end()
    raise StartFailed(state.why if state and state.why else log.read_bytes()[log_start:].decode(errors="replace"))


def stop_detached(home: Path, *, progress: Progress = lambda _name, _phase: None) -> bool:
    """End the fleet in the folder, and wait until nothing of it runs; running work gets time to end.

    A second call while the first one waits kills what still runs.

    Returns:
        Whether a fleet ran there.
    """
    home = home.resolve()
    state = read_state(home)
    if state is None:
        return False
    was_running = is_locked(home)
    process = state.supervisor.process()
    if was_running and process is not None:
        _Supervised(home, process, progress, known=state).end()
    with locked(home):
        end_leftovers(home)
    return was_running


def _spawn(argv: list[str], log: Path) -> psutil.Process:
    with log.open("ab") as output:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
        ]
        pid = os.posix_spawn(argv[0], argv, child_environment(), file_actions=actions, setsid=True)
    return psutil.Process(pid)


class _Supervised:
    """A fleet as its state file shows it, and the supervisor that writes it."""

    def __init__(
        self, home: Path, supervisor_process: psutil.Process, progress: Progress, known: FleetState | None = None
    ) -> None:
        self._home = home
        self._process = supervisor_process
        self._progress = progress
        self._seen = {name: service.phase for name, service in known.services.items()} if known else {}

    def state(self) -> FleetState | None:
        """Read what this supervisor, and none before it, has written."""
        state = read_state(self._home)
        return state if state and state.supervisor.pid == self._process.pid else None

    def has_settled(self) -> bool:
        """Tell of news; return whether everything answers, or nothing will."""
        state = self._tell_news()
        return bool(state and state.phase is Phase.READY) or not is_alive(self._process)

    def end(self) -> None:
        """Ask the supervisor to stop everything, and wait until it has: every service gets its grace period."""
        with suppress(psutil.NoSuchProcess):
            self._process.terminate()
        wait_until(self._has_ended, math.inf)
        with suppress(ChildProcessError):
            os.waitpid(self._process.pid, 0)

    def _has_ended(self) -> bool:
        self._tell_news()
        return not is_alive(self._process)

    def _tell_news(self) -> FleetState | None:
        state = self.state()
        for service in state.services.values() if state else ():
            if self._seen.get(service.name) is not service.phase:
                self._seen[service.name] = service.phase
                self._progress(service.name, service.phase)
        return state
