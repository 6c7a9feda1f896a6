"""The tasks of the scenarios, which write down when they start and end."""

from __future__ import annotations

import ctypes
import time
from typing import Any

from celery.signals import task_received

from tests.chaos.records import ENDED, RECEIVED, STARTED, note
from tests.chaos.setup import Setup

WORK, BLOCK = "chaos.work", "chaos.block"
LIBC = ctypes.CDLL(None)


def add_tasks(app: Any, setup: Setup) -> None:
    """Give an app its tasks, and have its workers note what they receive."""

    @app.task(name=WORK, bind=True, ignore_result=True)
    def work(self: Any, seconds: float) -> None:
        note(setup.records, setup.worker, STARTED, self.request.id)
        time.sleep(seconds)
        note(setup.records, setup.worker, ENDED, self.request.id)

    @app.task(name=BLOCK, bind=True, ignore_result=True)
    def block(self: Any, seconds: float) -> None:
        """Sleep in C, where no greenlet gets its turn."""
        note(setup.records, setup.worker, STARTED, self.request.id)
        until = time.monotonic() + seconds
        while time.monotonic() < until:  # a signal cuts it short
            LIBC.usleep(100_000)
        note(setup.records, setup.worker, ENDED, self.request.id)

    def received(request: Any, **_: Any) -> None:
        note(setup.records, setup.worker, RECEIVED, request.id)

    task_received.connect(received, weak=False)
