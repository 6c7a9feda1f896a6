"""The record of executions: a file for each process, one line an event, which a SIGKILL can't take back.

A line that ``write`` has taken is the kernel's; nothing has to be flushed, no server is asked.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

RECEIVED, STARTED, ENDED = "R", "S", "E"


class Event(NamedTuple):
    """Something that happened to a task in a worker."""

    kind: str
    worker: str
    at: float
    """Seconds since the epoch."""


def note(folder: Path, worker: str, kind: str, task: str) -> None:
    """Write one event down."""
    os.write(_file(folder, worker, os.getpid()), f"{kind} {task} {time.time():.6f}\n".encode())


@cache
def _file(folder: Path, worker: str, pid: int) -> int:
    return os.open(folder / f"{worker}.{pid}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


@dataclass
class Records:
    """Reads the files of a folder as they grow."""

    folder: Path
    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    """By task, in no order."""
    ended: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    """Workers that have received something."""
    last: dict[str, float] = field(default_factory=dict)
    """When each worker received something last."""
    _read: dict[Path, int] = field(default_factory=dict)

    def read(self) -> None:
        """Take in what was written since."""
        for path in self.folder.iterdir():
            start = self._read.get(path, 0)
            if path.stat().st_size == start:
                continue
            with path.open("rb") as file:
                file.seek(start)
                lines, _, _ = file.read().rpartition(b"\n")
            self._read[path] = start + len(lines) + bool(lines)
            self._take(path.name.partition(".")[0], lines.decode().splitlines())

    def count(self, kind: str, task: str) -> int:
        """Return how often something happened to a task."""
        return sum(event.kind == kind for event in self.events[task])

    def repeated(self, tasks: Iterable[str]) -> int:
        """Return how many executions were started beside the first of each task."""
        return sum(max(0, self.count(STARTED, task) - 1) for task in tasks)

    def _take(self, worker: str, lines: Iterable[str]) -> None:
        self.seen.add(worker)
        for line in lines:
            kind, task, at = line.split()
            self.events[task].append(Event(kind, worker, float(at)))
            if kind == ENDED:
                self.ended.add(task)
            elif kind == RECEIVED:
                self.last[worker] = float(at)


def restarts(events: dict[str, list[Event]], kills: Mapping[str, float]) -> list[float]:
    """Return how long, after its holder was killed, the next execution of each held task began.

    Args:
        events: By task.
        kills: When each worker was killed, in seconds since the epoch.

    Returns:
        Seconds, sorted.  A holder that was killed before it could start what it held begins the wait anew.
    """
    waits = []
    for of_task in events.values():
        for start in (event for event in of_task if event.kind == STARTED):
            dead = [
                kills[event.worker]
                for event in of_task
                if event.at < start.at and event.worker != start.worker and kills.get(event.worker, start.at) < start.at
            ]
            if dead:
                waits.append(start.at - max(dead))
    return sorted(waits)
