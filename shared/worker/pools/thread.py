"""Threads; nothing can interrupt one that waits, hence no time limit holds in them."""

from __future__ import annotations

import logging
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from celery.concurrency import thread

from shared.queues import Pool
from shared.worker.pools.contained import ContainedPool, Execution
from shared.worker.pools.last_tasks import STAND_IN_EVERY_SECONDS, stand_in_for_loop

logger = logging.getLogger(__name__)


class TaskPool(ContainedPool, thread.TaskPool):
    """Celery's threads, in which every execution has an end.

    They take their work from a queue: the futures of Celery's executor, for which nobody waits, took 10 µs a task.
    """

    kind = Pool.THREADS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._executions: SimpleQueue[Execution | None] = SimpleQueue()
        self._threads: list[Thread] = []

    def begin(self, execution: Execution, hard: float | None) -> None:  # noqa: ARG002 - nothing here can hold that
        """Run a task in the next thread that is free; the first tasks start one each."""
        self._executions.put(execution)
        if len(self._threads) < self.limit:
            started = Thread(target=self._run, name=f"task-{len(self._threads)}", daemon=True)
            self._threads.append(started)
            started.start()

    def on_stop(self) -> None:
        """Let running tasks end; Celery's pool does nothing else meanwhile, and RabbitMQ takes it for dead."""
        self._forget_waiting()
        for _ in self._threads:
            self._executions.put(None)
        for each in self._threads:
            while each.is_alive():
                each.join(STAND_IN_EVERY_SECONDS)
                stand_in_for_loop(self.app)

    def _forget_waiting(self) -> None:
        try:
            while True:
                self._executions.get_nowait()
        except Empty:
            pass

    def _run(self) -> None:
        while (execution := self._executions.get()) is not None:
            try:
                execution()
            except BaseException:  # the thread has others to run
                logger.exception("An execution ended without its request.")
            del execution  # it would live on for as long as this thread waits

    def _get_info(self) -> dict[str, Any]:
        return {**super()._get_info(), "threads": len(self._threads)}
