"""What a process says of its own health, in a small file that any other process can judge.

Two questions are kept apart.  **Live**: its loop turned lately; if not, only a restart helps.  **Ready**: it does its
work now; an outage of a broker makes a worker not ready, and leaves it live.

Each process replaces ``<run_dir>/<name>.json`` every second and removes it when it ends.  Nothing beyond the standard
library is imported here, so that a check is quick.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import quote, unquote

LIVE_WITHIN_SECONDS = 30.0
"""How old the last turn of a loop may be.  One takes 2 seconds at most, but a command to a slow broker up to 10."""
SUFFIX = ".json"

clock: Callable[[], float] = time.monotonic
"""Seconds since the machine started: all its processes share this clock, and nobody can set it."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What a process says of itself."""

    process: str
    """Its name: a worker's node name, ``beat``, ``relay`` or ``observer``."""
    pid: int
    born: int | None
    """When it started, by the kernel's count; tells it from a later process of the same id.  ``None`` if unknown."""
    turned: float
    """When its loop last turned, or was known to be held up for a good reason, by ``clock``."""
    within: float = LIVE_WITHIN_SECONDS
    """How old ``turned`` may be, in seconds."""
    not_ready: str | None = None
    """Why it does no work now; ``None`` when it does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a report."""

    process: str
    live: bool
    ready: bool
    why: str
    """One line on the worse of the two."""


def judge(report: HealthReport, now: float, *, ended: bool) -> Verdict:
    """Say whether a process is live and ready.

    Args:
        report: What it said last.
        now: The time, by ``clock``.
        ended: Whether the process has ended since.

    Returns:
        The verdict; what is not live is not ready either.
    """
    age = now - report.turned
    if ended:
        return Verdict(report.process, live=False, ready=False, why=f"process {report.pid} has ended")
    if age < 0:
        return Verdict(report.process, live=False, ready=False, why="the report is from before this machine started")
    if age > report.within:
        return Verdict(report.process, live=False, ready=False, why=f"its loop has not turned for {age:.0f} s")
    if report.not_ready:
        return Verdict(report.process, live=True, ready=False, why=report.not_ready)
    return Verdict(report.process, live=True, ready=True, why=f"its loop turned {age:.1f} s ago")


def verdicts(folder: Path, process: str | None = None) -> list[Verdict]:
    """Judge the processes that report in a folder, in the order of their names.

    Args:
        folder: The setting ``run_dir``.
        process: Only those of this name; a worker's may leave out the ``@`` and what follows.
    """
    paths = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if process in (None, *_names(path))]
    return [verdict for path in paths if (verdict := _verdict(path)) is not None]


def write(folder: Path, report: HealthReport) -> None:
    """Replace the report of a process in one step.

    Raises:
        OSError: It can't be written; the last one stands.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _path(folder, report.process)
    draft = path.with_name(f".{path.name}.{report.pid}")
    draft.write_text(json.dumps(asdict(report)), encoding="utf-8")
    draft.replace(path)


def remove(folder: Path, report: HealthReport) -> None:
    """Remove the report of a process that ends; that of a later process of the same name stays."""
    path = _path(folder, report.process)
    with suppress(OSError, ValueError):
        if _read(path).pid == report.pid:
            path.unlink()


def born(pid: int) -> int | None:
    """Return when a process started, in the kernel's ticks; ``None`` where nobody tells."""
    with suppress(OSError, ValueError, IndexError):
        return _state_and_birth(pid)[1]
    return None


def has_ended(report: HealthReport) -> bool:
    """Tell whether the very process that wrote a report has ended; one that waits to be reaped has."""
    try:
        state, started = _state_and_birth(report.pid)
    except FileNotFoundError:
        return not _answers(report.pid)
    except (OSError, ValueError, IndexError):
        return False
    return state in "ZX" or (report.born is not None and started != report.born)


def _verdict(path: Path) -> Verdict | None:
    try:
        report = _read(path)
    except FileNotFoundError:  # it has ended well in this moment
        return None
    except (OSError, ValueError) as error:
        why = f"its report can't be read: {type(error).__name__}"
        return Verdict(unquote(path.stem), live=False, ready=False, why=why)
    return judge(report, clock(), ended=has_ended(report))


def _read(path: Path) -> HealthReport:
    """Read a report; what a later release added to it is left out."""
    found = json.loads(path.read_text(encoding="utf-8"))
    try:
        return HealthReport(**{field.name: found[field.name] for field in fields(HealthReport) if field.name in found})
    except TypeError as error:
        raise ValueError(str(error)) from None


def _path(folder: Path, process: str) -> Path:
    return folder / f"{quote(process, safe='@')}{SUFFIX}"


def _names(path: Path) -> Iterator[str]:
    name = unquote(path.name.removesuffix(SUFFIX))
    yield name
    yield name.partition("@")[0]


def _state_and_birth(pid: int) -> tuple[str, int]:
    """Read the state and the time of birth that Linux tells (proc_pid_stat(5)); the name may hold anything."""
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return after_name[0], int(after_name[19])


def _answers(pid: int) -> bool:
    """Tell whether there is a process of an id, where there is no /proc to tell more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
