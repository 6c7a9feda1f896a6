"""Threads of the operating system, also in a process where gevent makes greenlets of all others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Thread


def start_thread(run: Callable[[], None], name: str) -> None:
    """Run something in a thread that goes on while a task computes, and that ends with the process.

    Under gevent it must share no socket and no connection pool with greenlets; it has a loop of its own for them.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        Thread(target=run, name=name, daemon=True).start()
    else:
        monkey.get_original("_thread", "start_new_thread")(run, ())
