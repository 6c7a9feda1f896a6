"""Processes; when the worker stops, each child ends what it was sent, and is heard until it is gone.

Celery's own pool forgets, when the worker stops, what it has sent to a child and the child has not answered yet:

- Of a message that is sent in part, the rest is never sent, and the child waits for it for ever.
- Where nothing else is left to wait for, nobody reads what the children say.  A child that has a result waits for half
  a minute until it is read, and its task, done as it is, goes back to the broker.

Under load one stop in three took half a minute, and with large arguments one in five had no end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from billiard.pool import CLOSE, EX_RECYCLE, RUN, TERMINATE, WorkersJoined
from celery.concurrency import asynpool, prefork

from shared.queues import Pool
from shared.worker.pools.children import share_memory, start_child
from shared.worker.pools.last_tasks import STAND_IN_EVERY_SECONDS, stand_in_for_loop

logger = logging.getLogger(__name__)


class ResultHandler(asynpool.ResultHandler):
    """Reads what the children say, in a stopping worker until the last one has ended."""

    meanwhile: Callable[[], None]
    """Called again and again while the last tasks run."""

    def on_stop_not_started(self) -> None:
        """Wait for the children.

        Celery waits as long as it knows of work.  A child may also do some that was forgotten when a connection broke.
        """
        while self._state != TERMINATE:
            outqueues = set(self.fileno_to_outq)
            ready, _, _ = asynpool._select(outqueues, timeout=STAND_IN_EVERY_SECONDS)  # noqa: SLF001 - as its base does
            for outqueue in ready:
                self._flush_outqueue(outqueue, outqueues.discard, self.fileno_to_outq, self.on_state_change)
            self.meanwhile()
            try:
                self.join_exited_workers(shutdown=True)
            except WorkersJoined:
                return


class Processes(asynpool.AsynPool):
    """Celery's pool of processes, which keeps what it has sent to a child in mind."""

    ResultHandler = ResultHandler

    def __init__(self, *args: Any, **options: Any) -> None:
        """Make the pool, whose children start with less memory than Celery's."""
        super().__init__(*args, **{**options, "initializer": start_child})

    def _create_worker_process(self, i: int) -> Any:
        """Fork."""
        share_memory()
        return super()._create_worker_process(i)

    def flush(self) -> None:
        """Forget what no child was sent: it goes back to the broker."""
        if self._state != CLOSE:
            super().flush()
            return
        self.outbound_buffer.clear()
        for job in tuple(self._cache.values()):
            self._send_all_or_nothing(job)

    def end(self, meanwhile: Callable[[], None]) -> None:
        """Take no more work, and wait until the children have ended theirs."""
        self.close()
        self._result_handler.meanwhile = meanwhile
        self.join()

    def _join_exited_workers(self, shutdown: bool = False) -> list[int]:
        """Let go of children that have ended; say which were at a limit, for what they say themselves is not logged."""
        exit_codes: list[int] = super()._join_exited_workers(shutdown)
        for _ in range(exit_codes.count(EX_RECYCLE)):
            logger.warning(
                "A child process had its limit of memory (%s KiB) or tasks (%s), and is replaced.",
                self._max_memory_per_child,
                self._maxtasksperchild,
            )
        return exit_codes

    def _send_all_or_nothing(self, job: Any) -> None:
        child = job._write_to  # noqa: SLF001 - as its base does
        if not job.accepted() and (child is None or not child._is_alive()):  # noqa: SLF001
            job.discard()
            return
        writer = asynpool._get_job_writer(job)  # noqa: SLF001
        if writer in self._active_writers:
            self._flush_writer(child, writer)


class TaskPool(prefork.TaskPool):
    """Celery's processes, which end when their work has."""

    kind = Pool.PREFORK
    Pool = Processes
    _pool: Any

    def on_stop(self) -> None:
        """Let running tasks end."""
        if not isinstance(self._pool, Processes):
            super().on_stop()
        elif self._pool._state in (RUN, CLOSE):  # noqa: SLF001 - as its base does
            self._pool.end(partial(stand_in_for_loop, self.app))
            stand_in_for_loop(self.app)
            self._pool = None
