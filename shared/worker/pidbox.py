"""Remote control of workers whose tasks are greenlets."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer.control import Control
from celery.worker.pidbox import gPidbox


class DroppablePidbox(gPidbox):
    """Listens over a connection of its own, which is left as it is where that of the worker is lost.

    It may be as dead, and to say goodbye over it takes seconds, in which the worker would not connect again.
    """

    _node_shutdown: Any
    _node_stopped: Any

    def stop(self, c: Any) -> None:
        """Listen no more; after a lost connection the greenlet that listens ends by itself."""
        if c.connection is not None or self._node_stopped is None:
            super().stop(c)
            return
        self._node_shutdown.set()
        self._node_shutdown = self._node_stopped = self.consumer = None


class DroppableControl(Control):
    """Listens to remote control."""

    name = Control.name
    """That of the step in whose place it comes."""

    def __init__(self, c: Any, **options: Any) -> None:
        super().__init__(c, **options)
        if self.is_green:
            self.box = DroppablePidbox(c)
            self.start, self.stop, self.shutdown = self.box.start, self.box.stop, self.box.shutdown
