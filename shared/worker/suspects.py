"""What a worker does with suspects: tasks that may have taken a process with them; see ``shared.worker.poison``."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple
from weakref import ref

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery import signals
from celery.exceptions import WorkerLostError
from celery.worker import state
from celery.worker.request import Request

from shared.dead_letters import DeadLetter, Reason, bury
from shared.errors import PoisonTask
from shared.worker.poison import WORKER, Deaths, coroner_of
from shared.worker.unrecorded import UNRECORDED, may_be_recorded_later

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 0.1


class Waiting(NamedTuple):
    """A request that waits for its turn."""

    request: Any
    deaths: Deaths | None
    alone: bool


class Isolation:
    """Lets a worker's tasks start: at once, or where one must be alone, one after the other.

    While a suspect waits for the worker to fall idle, and while it runs, what else arrives waits behind it.
    """

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._coroner = coroner_of(worker.app)
        self._waiting: deque[Waiting] = deque()
        self._alone: Any = lambda: None
        self._closed = False
        self._taking_turns = False
        self._looking_again = False

    def admits(self, request: Any) -> bool:
        """Tell whether a request may start now; one that may not is started later, or is dead."""
        again = request.delivery_info["redelivered"]
        if not again and not self._closed:
            return True
        deaths = self._coroner.before(request) if again else None
        limit = self._coroner.limit(request)
        if deaths and deaths.times >= limit:
            self._worker.release_slot()
            request.die_of_poison(deaths.times)
            return False
        alone = deaths is not None and self._must_be_alone(deaths, limit)
        if not self._closed and not alone:
            self._begin(request, deaths)
            return True
        if deaths is None:
            self._coroner.acquit([request])
        self._waiting.append(Waiting(request, deaths, alone))
        self._take_turns()
        return False

    def drop(self) -> None:
        """Forget what waits: its connection is gone, and it comes again."""
        for _ in range(len(self._waiting)):
            self._waiting.popleft()
            self._worker.release_slot()

    def on_ready(self) -> None:
        """Note for all workers where this one fetches ahead."""
        if self._worker.prefetch_multiplier != 1:
            self._coroner.fetches_ahead(self._worker.app.amqp.queues.consume_from)

    def give_back(self, requests: Iterable[Any]) -> None:
        """Note of requests that their messages go back to the broker, and that this worker lives.

        Args:
            requests: None that the worker keeps: if its process dies of one later, that counts.
        """
        self._coroner.acquit(requests)

    def _must_be_alone(self, deaths: Deaths, limit: int) -> bool:
        """Tell whether the next execution is the last, of which no neighbour may be the end.

        To have every suspect alone would keep all that a dead worker held waiting, one task for the other.
        """
        last = 0 < deaths.times == limit - 1
        return last and (deaths.of == WORKER or not self._has_children())

    def _begin(self, request: Any, deaths: Deaths | None) -> None:
        request.deaths = deaths
        if deaths is not None and self._has_children():
            self._coroner.begin(request)  # elsewhere the thread or greenlet does, when it gets to it

    def _take_turns(self) -> None:
        if self._taking_turns:  # another greenlet does
            return
        self._taking_turns = True
        try:
            while self._waiting and not self._alone_runs() and (not self._waiting[0].alone or self._idle()):
                request, deaths, alone = self._waiting.popleft()
                if alone:
                    self._alone = ref(request)
                    logger.warning(
                        "Task %s[%s] runs alone: %d of its executions may have taken their process with them.",
                        request.name,
                        request.id,
                        deaths.times if deaths else 0,
                    )
                self._closed = True
                self._begin(request, deaths)
                self._worker.start_task(request)
        finally:
            self._taking_turns = False
        self._closed = bool(self._waiting) or self._alone_runs()
        if self._closed and not self._looking_again:
            self._looking_again = True
            self._worker.timer.call_after(LOOK_AGAIN_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._looking_again = False
        self._take_turns()

    def _alone_runs(self) -> bool:
        request = self._alone()
        return request is not None and request in state.reserved_requests

    def _idle(self) -> bool:
        """Tell whether all that the worker has taken up waits here."""
        semaphore = self._worker.semaphore
        if self._has_children() and semaphore is not None and self._worker.pool_putlocks:
            return bool(semaphore.initial_value - semaphore.value <= len(self._waiting))
        return len(state.reserved_requests) <= len(self._waiting)

    def _has_children(self) -> bool:
        return bool(self._worker.pool.uses_semaphore)


class SuspectRequest(Request):
    """Part of the request: counts the deaths of its process, and ends a task that has too many."""

    deaths: Deaths | None = None
    """What was known of one whose message was handed out before, when it was let in."""
    on_record = False
    """Whether shared state has a file on this task."""
    _died = False

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Note that the task begins; threads and greenlets call this themselves, just before they run it."""
        if self.deaths is not None and not self.on_record:
            coroner_of(self._app).begin(self)
        super().on_accepted(pid, time_accepted)

    def goes_on(self) -> None:
        """Count the execution as a death again, until it ends: it has another delivery, and was acquitted before."""
        coroner_of(self._app).begin(self)

    def acknowledge(self) -> None:
        """Acknowledge the message, which ends its story."""
        super().acknowledge()
        if self.on_record:
            self.on_record = False
            coroner_of(self._app).forget(self)

    def reject(self, requeue: bool = False) -> None:
        """Reject the message; one that goes back did not die, unless its process did."""
        if requeue and not self._died:
            coroner_of(self._app).acquit([self])
        super().reject(requeue=requeue)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Handle a failure, and count it where it took the child process with it."""
        if self._took_its_process(exc_info) and not self._success_was_stored():
            self._died = self.on_record = True
            deaths = coroner_of(self._app).child_died(self)
            if deaths >= coroner_of(self._app).limit(self):
                return self.die_of_poison(deaths)
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def die_of_poison(self, deaths: int) -> None:
        """Store the task's failure, tell its chord and errbacks, and keep its message as a dead letter.

        While the result store is out of reach the message goes back.
        """
        queue, broker = self._app.amqp.origin(self.delivery_info)
        error = PoisonTask(
            f"{self.type}[{self.id}] took its process with it {deaths} times and is not tried again; "
            f"its message is kept as a dead letter on broker {broker}."
        )
        logger.error("%s", error)
        state.task_ready(self)
        try:
            self.task.backend.mark_as_failure(self.id, error, request=self._context, store_result=self.store_errors)
        except Exception as failure:
            if may_be_recorded_later(self.task.backend, failure):
                logger.exception(UNRECORDED, self.id)
                self._died = True  # it is not acquitted, and ends the next time
                self.reject(requeue=True)
                return
            logger.exception("The result of task %s could not be stored as failed.", self.id)
        letter = DeadLetter.of(self._message, queue=queue, broker=broker, reason=Reason.POISON, detail=str(error))
        self._message.ack = lambda multiple=False: self._bury(letter)  # noqa: ARG005 - kombu's signature
        self.on_record = False  # the file is closed when the message is gone
        self.acknowledge()
        einfo = _einfo(error)
        signals.task_failure.send(
            sender=self.task,
            task_id=self.id,
            exception=error,
            args=self.args,
            kwargs=self.kwargs,
            traceback=None,
            einfo=einfo,
        )
        self.send_event("task-failed", exception=repr(error), traceback=einfo.traceback)

    def _bury(self, letter: DeadLetter) -> None:
        try:
            bury(self._app, self._message, letter)
            coroner_of(self._app).forget(self)
        except self._connection_errors:
            raise
        except Exception:
            logger.critical("Poison can't be kept now; its message stays unacknowledged.", exc_info=True)

    def _took_its_process(self, exc_info: Any) -> bool:
        raised = exc_info.exception
        raised = raised.exc if isinstance(raised, ExceptionWithTraceback) else raised
        task = self.task
        given_back = task.acks_late and task.reject_on_worker_lost and not task.retry_on_worker_lost
        ended_by_us = self._already_cancelled or self._already_revoked or state.should_terminate
        lost = isinstance(raised, WorkerLostError | SystemExit | KeyboardInterrupt)
        return lost and given_back and not ended_by_us and not self.acknowledged


def taken() -> set[Any]:
    """Return what this worker has taken and not ended."""
    while True:
        try:
            return {*state.reserved_requests, *state.active_requests}
        except RuntimeError:  # a thread ended one meanwhile
            continue


def _einfo(error: Exception) -> Any:
    try:
        raise error
    except type(error):
        return ExceptionInfo()
