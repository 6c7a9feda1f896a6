"""Keeps a worker off the queues that are paused for the whole fleet; see ``shared.pauses``."""

from __future__ import annotations

import logging
from threading import Event
from typing import Any

import redis
from celery import bootsteps

from shared.pauses import PauseTable
from shared.threads import start_thread
from shared.worker.forking import FORKS

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0


class Pausing(bootsteps.StartStopStep):
    """Looks every second which queues are paused, and has the loop of the worker follow."""

    requires = FORKS

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self.enabled = worker.app.state.configured
        self._ended = Event()
        worker.pauses = self._pauses = QueuePauses(worker.app)

    def start(self, worker: Any) -> None:
        """Begin to look."""
        start_thread(lambda: self._run(worker), "pauses")

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Look no more."""
        self._ended.set()

    def _run(self, worker: Any) -> None:
        # Of its own: under gevent this thread may share no socket with greenlets.
        table = PauseTable(worker.app.state.apart())
        while not self._ended.wait(LOOK_EVERY_SECONDS):
            if self._pauses.look(table) and worker.consumer.consuming:
                worker.consumer.call_soon(self._pauses.follow, worker.consumer)


class QueuePauses:
    """The queues of one worker that it does not consume because they are paused.

    Args:
        app: The app of the worker.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._table = PauseTable(app.state.apart())
        self._paused: frozenset[str] = frozenset()
        self._left: set[str] = set()
        """What this worker served and left because of a pause."""

    def look(self, table: PauseTable) -> bool:
        """Ask what is paused; return whether this worker has to follow."""
        try:
            self._paused = frozenset(table.paused())
        except (redis.RedisError, OSError, ValueError, TypeError) as error:
            logger.debug("Shared state does not say which queues are paused: %s", error)
        served = set(self._app.amqp.queues.consume_from)
        return bool(self._paused & served or self._left - self._paused)

    def before_consuming(self) -> None:
        """Leave out paused queues of a connection that is about to consume, and take up those that were resumed."""
        if self._app.state.configured and self.look(PauseTable(self._app.state)):
            queues = self._app.amqp.queues
            for name in self._left - self._paused:
                queues.select_add(queues[name])
            self._note(left=self._paused & set(queues.consume_from))
            queues.deselect(sorted(self._left & self._paused))

    def follow(self, consumer: Any) -> None:
        """Leave the queues that were paused, and take up those that were resumed; runs in the worker's loop."""
        if consumer.task_consumer is None:  # it connects anew, and looks then
            return
        leaving = self._paused & set(self._app.amqp.queues.consume_from)
        resumed = self._left - self._paused
        self._note(left=leaving)
        for name in sorted(leaving):
            consumer.cancel_task_queue(name)
        for name in sorted(resumed):
            consumer.add_task_queue(name)

    def _note(self, left: set[str] | frozenset[str]) -> None:
        for name in sorted(left):
            logger.info("Queue %s is paused; this worker leaves it until it is resumed.", name)
        for name in sorted(self._left - self._paused):
            logger.info("Queue %s is resumed.", name)
        self._left = (self._left | set(left)) & self._paused
