"""Find what still runs of something that should be gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from services.core.local.processes import is_alive
from services.core.local.waiting import wait_until


def processes_of(folder: Path) -> list[psutil.Process]:
    """Find every process that has to do with a folder: by its arguments, its working folder or its environment."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _knows(process, folder)]


def _knows(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error):
        known = [*process.cmdline(), process.cwd(), *process.environ().values()]
        return is_alive(process) and any(str(folder) in text for text in known)
    return False


def await_no_process_of(folder: Path) -> None:
    """Wait until nothing runs that has to do with a folder."""
    assert wait_until(lambda: not processes_of(folder), seconds=10), processes_of(folder)


def await_true(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    assert wait_until(lambda: bool(condition()), seconds), f"not in {seconds:g} s"
