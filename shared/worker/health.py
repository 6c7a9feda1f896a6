"""A worker's health, reported by its parent process."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.concurrency.solo import TaskPool as SoloPool
from celery.worker import state

from shared.health import clock
from shared.heartbeat import Heartbeat, Look
from shared.settings import load_settings
from shared.worker.forking import FORKS
from shared.worker.readiness import Readiness, Seen
from shared.worker.waiting import ASK_EVERY_SECONDS, WaitingWork

SILENT_AFTER_SECONDS = 2 * ASK_EVERY_SECONDS


class Health(bootsteps.StartStopStep):
    """Reports whether a worker is live and ready; see ``shared.health``.

    It starts after the pool, so that no child process is forked from a parent with these threads.  Other steps find
    its ``Heartbeat`` as ``worker.health``.
    """

    requires = FORKS

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._look = WorkerLook(worker)
        worker.health = Heartbeat(worker.hostname, self._look, load_settings().run_folder)

    def start(self, worker: Any) -> None:
        """Begin to report; the report goes when the process ends, after its last task."""
        self._look.start()
        worker.health.start()

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Report that the worker is stopping."""
        self._look.stopping()


class WorkerLook:
    """Looks at a worker from beside its loop."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._waiting = WaitingWork(worker.app)
        self._readiness = Readiness()
        self._stopping = False
        self._held_up = 0.0

    def start(self) -> None:
        """Begin to ask the broker."""
        self._waiting.start()

    def stopping(self) -> None:
        """Ask the broker no more: the worker takes nothing from now on, and its loop need not turn."""
        self._stopping = True
        self._waiting.end()

    def __call__(self) -> Look:
        """Tell when the loop last turned, and why the worker is not ready."""
        now = clock()
        if self._stopping or self._good_reason(now):
            self._held_up = now
        not_ready = "it is stopping" if self._stopping else self._readiness.why_not(now, self._seen())
        return Look(max(self._worker.consumer.turned, self._held_up), not_ready)

    def _good_reason(self, now: float) -> bool:
        """Tell whether the loop may stand still: it runs a task itself, or waits for a broker that is silent."""
        pool = self._worker.pool
        runs_tasks = isinstance(pool, SoloPool) or pool.is_green  # a full pool of greenlets holds up the loop
        return (runs_tasks and len(state.active_requests) > 0) or now - self._waiting.answered > SILENT_AFTER_SECONDS

    def _seen(self) -> Seen:
        app, consumer = self._worker.app, self._worker.consumer
        return Seen(
            broker=app.broker.alias,
            queues=tuple(app.amqp.queues.consume_from),
            connected=consumer.consuming and consumer.connection is not None,
            answered=self._waiting.answered,
            waiting=self._waiting.messages,
            taken=consumer.intake.taken,
            can_take=self._can_take(),
        )

    def _can_take(self) -> bool:
        """Tell whether a slot is free, and the broker would hand out one more message."""
        consumer = self._worker.consumer
        window = consumer.qos.value if consumer.qos else 0
        slot_free = len(state.active_requests) < self._worker.pool.num_processes
        return slot_free and (not window or consumer.intake.held < window)
