"""Threads of the operating system, also in a process where gevent makes greenlets of all others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Thread
from time import monotonic, sleep

LOOK_EVERY_SECONDS = 0.05
_beside_gevent: set[object] = set()
"""What runs in threads of which Python knows nothing."""


def start_thread(run: Callable[[], None], name: str) -> None:
    """Run something in a thread that goes on while a task computes, and that ends with the process.

    Under gevent it must share no socket and no connection pool with greenlets; it has a loop of its own for them.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        Thread(target=run, name=name, daemon=True).start()
    else:
        _beside_gevent.add(run)
        monkey.get_original("_thread", "start_new_thread")(_run_beside_gevent, (run,))


def wait_for_threads(seconds: float) -> None:
    """Wait, for some seconds at most, until the threads beside gevent have ended, as they must have been asked to.

    The interpreter crashes when it shuts down while one of them is in a loop of gevent.
    """
    deadline = monotonic() + seconds
    while _beside_gevent and monotonic() < deadline:
        sleep(LOOK_EVERY_SECONDS)


def _run_beside_gevent(run: Callable[[], None]) -> None:
    try:
        run()
    finally:
        _beside_gevent.discard(run)
