"""How a child process of the prefork pool starts, with as little memory of its own as possible."""

from __future__ import annotations

import ctypes
import encodings.idna  # noqa: F401 - each child would import it for itself when it first connects
import gc
import sys
from typing import Any

from celery import platforms
from celery.concurrency.prefork import process_initializer

import shared.worker.executing  # noqa: F401 - what runs a task, which each child would import for itself

PR_SET_PDEATHSIG = 1
"""Source: ``prctl(2)``."""


def share_memory() -> None:
    """Keep what was imported out of reach of the garbage collector, before the first fork.

    A collection writes to every object that it looks at, in the parent and in each child; then they share no page.
    Only what is there at the first fork is frozen, for what comes later may become garbage.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


def start_child(app: Any, hostname: str) -> None:
    """Prepare a child for tasks as Celery does.

    Where cffi is installed, which pyvips needs, each child would import a parser of C for one system call: 37 ms, and
    3.4 MB that no other process shares.
    """
    if sys.platform == "linux":  # nowhere else is there such a call
        platforms._set_pdeathsig = end_with_parent  # noqa: SLF001 - this process alone
    process_initializer(app, hostname)


def end_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent has ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
