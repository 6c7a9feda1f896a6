"""Restart the processes of a running fleet, one after the other: each is ready before the next one is stopped.

The supervisor does it, for the processes are its children.  It is asked through a file in the fleet's folder, with one
name in it, and says in the fleet's state how far it is.  So whoever asks may be interrupted at any moment: the process
whose turn it is comes back all the same, and those after it were not touched.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from services.core.local.errors import NotRestarted, StartFailed
from services.core.local.state import FleetState, Phase, ProcessId, read_state
from services.core.local.waiting import wait_until

logger = logging.getLogger(__name__)

REQUEST_FILE = "restart"
SERVERS = frozenset({"redis", "rabbitmq", "mail"})
"""What a fleet runs beside the processes of its plan; a restart leaves it alone."""
HEARD_WITHIN_SECONDS = 600.0
"""The supervisor looks several times a second; another restart that was asked for may come first."""
ANSWERS_WITHIN_SECONDS = 900.0
"""The longest grace period, and the time to start; the supervisor has deadlines of its own."""


def take_request(home: Path) -> str | None:
    """Take the name of the process that somebody wants restarted, if there is one."""
    with suppress(FileNotFoundError):
        name = (home / REQUEST_FILE).read_text()
        (home / REQUEST_FILE).unlink()
        return name
    return None


def serve_request(home: Path, restart: Callable[[str], None]) -> None:
    """Do what somebody asks for, if anybody does; what went wrong shows in the state of the fleet and in the log.

    Args:
        home: Folder of the fleet.
        restart: Restarts a process, as ``LocalFleet.restart`` does.
    """
    name = take_request(home)
    if not name:
        return
    logger.info("%s is restarted", name)
    try:
        restart(name)
    except (KeyError, OSError, StartFailed):
        logger.exception("%s was asked for and is not restarted", name)


def restartable(home: Path, names: Sequence[str]) -> list[str]:
    """Return the processes to restart, in the order of their start: those that are named, or all.

    Raises:
        NotRestarted: No fleet runs in the folder, or it has no such process.  Nothing was restarted.
    """
    state = _running(home)
    known = [name for name in state.services if name not in SERVERS]
    for name in names:
        if name not in known:
            raise NotRestarted(f"There is no process {name!r} to restart; there are {', '.join(known)}.")
    return [name for name in known if not names or name in names]


def restart_one(home: Path, name: str) -> None:
    """Have the supervisor restart a process, and wait until it is ready again.

    Raises:
        NotRestarted: It is not ready, or the fleet has ended.
    """
    before = _running(home).services[name].processes
    _ask(home, name)
    request = home / REQUEST_FILE
    try:
        wait_until(lambda: not request.exists() or not _lives(home), HEARD_WITHIN_SECONDS)
    finally:  # an interrupt takes the request back; one that was heard is carried out
        with suppress(FileNotFoundError):
            request.unlink()
    wait_until(lambda: _is_new(home, name, before) or _is_over(home, name), ANSWERS_WITHIN_SECONDS)
    if not _is_new(home, name, before):
        log = home / "logs" / f"{name}.log"
        raise NotRestarted(f"{name} is not ready after its restart; the others were left as they were. See {log}.")


def _ask(home: Path, name: str) -> None:
    def write() -> bool:
        with suppress(FileExistsError):
            handle = os.open(home / REQUEST_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(name)
            return True
        return False

    if not wait_until(write, HEARD_WITHIN_SECONDS):
        raise NotRestarted(
            f"Somebody else's request lies in {home / REQUEST_FILE}, and the supervisor does not hear it."
        )


def _running(home: Path) -> FleetState:
    state = read_state(home)
    if state is None or state.phase is not Phase.READY:
        phase = state.phase if state else "not there"
        raise NotRestarted(f"No fleet runs in {home}: it is {phase}. Start it with `yard up`.")
    return state


def _lives(home: Path) -> bool:
    state = read_state(home)
    return state is not None and state.phase is Phase.READY


def _is_new(home: Path, name: str, before: Sequence[ProcessId]) -> bool:
    state = read_state(home)
    service = state.services.get(name) if state else None
    return service is not None and service.phase is Phase.READY and not _common(service.processes, before)


def _common(these: Sequence[ProcessId], those: Sequence[ProcessId]) -> bool:
    return any(process in those for process in these)


def _is_over(home: Path, name: str) -> bool:
    """Tell whether it will not become ready by this restart any more."""
    state = read_state(home)
    if state is None or state.phase is not Phase.READY:
        return True
    return state.services[name].phase in (Phase.FAILED, Phase.RESTARTING)
