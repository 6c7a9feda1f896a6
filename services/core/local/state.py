"""What a fleet says about itself in ``<home>/fleet.json``: pids, ports and states, never a secret."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import psutil
from pydantic import BaseModel, Field

from services.core.local.errors import FleetAlreadyRunning
from services.core.local.private_files import write_private
from services.core.local.processes import is_alive
from services.core.local.waiting import wait_until
from shared.errors import ConfigurationError

STATE_FILE = "fleet.json"
LOCK_FILE = "fleet.lock"


class Phase(StrEnum):
    """Where a process, or the fleet as a whole, is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


def now() -> datetime:
    """Tell the time, with its zone."""
    return datetime.now(UTC)


class ProcessId(BaseModel):
    """A process id with the time of birth, which tells it from a later process of the same id."""

    pid: int
    born: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Look up a running process."""
        return cls(pid=pid, born=psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Find the very process; ``None`` when it has ended."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if is_alive(process) and process.create_time() == self.born:
                return process
        return None


class ServiceState(BaseModel):
    """One service of a fleet."""

    name: str
    phase: Phase = Phase.STARTING
    since: datetime = Field(default_factory=now)
    processes: list[ProcessId] = []
    ports: dict[str, int] = {}
    restarts: int = 0
    """How often it ended by itself and was started again."""


class FleetState(BaseModel):
    """A fleet: the process that keeps it together, and its services in the order of their start."""

    phase: Phase = Phase.STARTING
    since: datetime = Field(default_factory=now)
    supervisor: ProcessId
    why: str | None = None
    """What went wrong, when it failed."""
    services: dict[str, ServiceState] = {}

    def write(self, home: Path) -> None:
        """Replace ``<home>/fleet.json`` in one step."""
        write_private(home / STATE_FILE, self.model_dump_json(indent=2))

    def living(self) -> Iterator[psutil.Process]:
        """Find the processes of the services that still run."""
        for service in self.services.values():
            for process_id in service.processes:
                if process := process_id.process():
                    yield process


def read_state(home: Path) -> FleetState | None:
    """Read what the fleet in the folder says about itself; ``None`` when none was ever started there.

    A fleet that says that it runs while nobody holds its lock was killed; its phase is ``failed`` then.
    """
    try:
        state = FleetState.model_validate_json((home / STATE_FILE).read_bytes())
    except FileNotFoundError:
        return None
    if state.phase not in (Phase.STOPPED, Phase.FAILED) and not is_locked(home):
        state.phase, state.why = Phase.FAILED, "The fleet was killed."
        for service in state.services.values():
            service.phase = Phase.STOPPED
    return state


def is_locked(home: Path) -> bool:
    """Tell whether a fleet lives in the folder."""
    try:
        with (home / LOCK_FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Keep every other fleet out of the folder; the kernel frees the lock of a process that is killed.

    Raises:
        FleetAlreadyRunning: Another fleet lives there; it was left alone.
    """
    with os.fdopen(os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:

        def acquire() -> bool:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False

        if not wait_until(acquire, seconds=1):  # somebody may just be looking whether it is locked
            raise already_running(home)
        yield


def already_running(home: Path) -> FleetAlreadyRunning:
    """Say that a fleet lives in the folder, and what to do."""
    return FleetAlreadyRunning(f"A fleet already runs in {home}. Stop it with `yard down`, or take another home.")


def end_leftovers(home: Path) -> None:
    """Kill what still runs of a fleet that was killed; call it with the lock held."""
    state = read_state(home)
    leftovers = list(state.living()) if state else []
    for process in leftovers:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(leftovers, timeout=10)


def clear_home(home: Path) -> None:
    """Remove a folder that a fleet wrote, if there is one and the fleet has ended.

    Raises:
        ConfigurationError: Something else is in it, or its fleet runs; nothing was removed.
    """
    if not home.exists() or not any(home.iterdir()):
        return
    if not (home / STATE_FILE).exists():
        raise ConfigurationError(f"{home} holds something that no fleet wrote; choose another folder with --home.")
    if is_locked(home):
        raise ConfigurationError(f"A fleet runs in {home}; end it first.")
    shutil.rmtree(home)
