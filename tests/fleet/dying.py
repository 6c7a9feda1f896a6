"""The fleet of ``tests.fleet.concepts``, whose first worker dies when it has stored a limited task."""

from __future__ import annotations

import os
import signal

from shared.delays.entry import Entry
from tests.fleet.concepts import app as app  # noqa: PLC0414 - what Celery's command line looks for

store = app.delays.store


def store_and_die(entry: Entry, *args, **options) -> bool:
    """Store a message, and kill the worker if it is the first to do so."""
    stored = store(entry, *args, **options)
    if app.state.client.set("concept:died", 1, nx=True, ex=60):
        os.killpg(os.getpgid(0), signal.SIGKILL)
    return stored


app.delays.store = store_and_die  # type: ignore[method-assign]
