"""Counts made inside tasks, of which the worker's own process knows at once.

A prefork child can't be asked, and may be killed at any instant.  So the worker makes one piece of shared memory before
it forks, with a row for itself and for each child: who counts writes to the own row alone, and the worker's process
reads them all.  A dead child's counts stay, and the child that takes its place goes on from them.

| pool                   | who counts        | row                                                            |
|------------------------|-------------------|----------------------------------------------------------------|
| prefork                | each child        | the number that the pool gave the child, counted from 1        |
| threads, gevent, solo  | the worker itself | 0                                                              |

What is counted has a name and labels, and both lie in the row as text: a tally needs no table, and a service may have
its own.  A process that opened no memory, such as a worker that serves no metrics, counts nothing.  Neither does a
child that was not forked but started anew (``spawn``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap
from threading import Lock

from billiard.process import current_process

ROWS = 257
"""The worker and 256 children; what further children count is lost."""
WORDS = 16
"""Of an entry, 8 bytes each: 15 for its text, the last for its count."""
ENTRIES = 512
"""Of a row.  What finds no place is counted as ``UNPLACED``."""
TEXT_BYTES = 8 * (WORDS - 1)
ENTRY_BYTES = 8 * WORDS
ROW_BYTES = ENTRY_BYTES * ENTRIES


Key = tuple[str, tuple[str, ...]]
"""A name, and ``label=value`` for each label."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Something to count inside tasks.

    Args:
        name: As Prometheus is told, without ``_total``.
        meaning: One sentence.
        labels: The names of its labels.  Their values must be few: a row has room for some hundred entries.
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ()

    def count(self, *values: str, by: int = 1) -> None:
        """Count, under a value for each label; does nothing where nobody reads.

        Raises:
            ValueError: There are more or fewer values than labels.
        """
        _memory.count(self, values, by)


SENT = Tally(
    "celery_task_sent",
    "Messages that this worker and its tasks published.",
    ("name", "queue_name", "broker"),
)
SMTP_ANSWERS = Tally(
    "switchyard_smtp_answers",
    "What the relay said to a mail: the class of its answer, or none if no answer came.",
    ("answer",),
)
FILES = Tally(
    "switchyard_files_processed",
    "Files that were processed, those inside archives among them.",
    ("kind", "status"),
)
UNPLACED = Tally("switchyard_tallies_lost", "What was counted and found no place among the tallies of its process.")
TALLIES = (SENT, SMTP_ANSWERS, FILES, UNPLACED)


class Row:
    """The counts of one process; entries follow each other without a gap."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._words = memory.cast("Q")
        self._lock = Lock()
        self._places: dict[object, int] = {}
        self._next = sum(1 for _ in entries(memory))

    def count(self, tally: Tally, values: Sequence[str], by: int) -> None:
        """Add to an entry, and make it if there is none."""
        key = (tally.name, values)
        with self._lock:
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = self._find(tally, values)
            self._words[place] += by

    def _find(self, tally: Tally, values: Sequence[str]) -> int:
        """Return the word that holds the count of an entry."""
        wanted: Key = tally.name, tuple(f"{label}={value}" for label, value in zip(tally.labels, values, strict=True))
        text = "\0".join((wanted[0], *wanted[1])).encode(errors="replace")
        if len(text) > TEXT_BYTES:
            wanted, text = (UNPLACED.name, ()), UNPLACED.name.encode()
        for number, (key, _) in enumerate(entries(self._memory)):
            if key == wanted:
                return number * WORDS + WORDS - 1
        if self._next >= ENTRIES - 1:  # the last one is kept for what finds no place
            number, text = ENTRIES - 1, UNPLACED.name.encode()
        else:
            number, self._next = self._next, self._next + 1
        start = number * ENTRY_BYTES
        self._memory[start : start + len(text)] = text
        return number * WORDS + WORDS - 1


def entries(row: memoryview) -> Iterator[tuple[Key, int]]:
    """Return the entries of a row in order, from any process."""
    words = row.cast("Q")
    for number in range(ENTRIES):
        text = bytes(row[number * ENTRY_BYTES : number * ENTRY_BYTES + TEXT_BYTES]).rstrip(b"\0")
        if not text:
            return
        name, *labels = text.decode().split("\0")
        yield (name, tuple(labels)), words[number * WORDS + WORDS - 1]


class Memory:
    """The rows of a worker; its children share them."""

    def __init__(self) -> None:
        self._rows: list[memoryview] = []
        self._pid = 0
        self._own: Row | None = None

    def open(self) -> None:
        """Begin to count; a worker calls it before it forks."""
        if not self._rows:
            memory = memoryview(mmap(-1, ROWS * ROW_BYTES))
            self._rows = [memory[start : start + ROW_BYTES] for start in range(0, len(memory), ROW_BYTES)]
            self._own, self._pid = Row(self._rows[0]), os.getpid()

    def count(self, tally: Tally, values: Sequence[str], by: int) -> None:
        """Add to an entry of this process's row."""
        if not self._rows:
            return
        if self._pid != (pid := os.getpid()):
            self._own, self._pid = self._row_of_child(), pid
        if self._own is not None:
            self._own.count(tally, values, by)

    def read(self) -> dict[Key, int]:
        """Add up all rows."""
        totals: dict[Key, int] = {}
        for row in self._rows:
            for key, count in entries(row):
                totals[key] = totals.get(key, 0) + count
        return totals

    def _row_of_child(self) -> Row | None:
        index = getattr(current_process(), "index", None)
        return Row(self._rows[index + 1]) if isinstance(index, int) and index + 1 < ROWS else None


_memory = Memory()


def open_tallies() -> None:
    """Begin to count in this process and in the children that it forks from now on."""
    _memory.open()


def read_tallies() -> dict[Key, int]:
    """Return what this process and its children have counted."""
    return _memory.read()
