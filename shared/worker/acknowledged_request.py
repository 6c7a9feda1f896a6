"""A request whose message may be acknowledged before the work is done."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery import signals
from celery.exceptions import TaskRevokedError, WorkerLostError
from celery.worker.request import Request
from celery.worker.state import task_ready

from shared.errors import LostAfterAcknowledgement
from shared.worker.acknowledged import Holding, message_name
from shared.worker.losses import lost

EXECUTION_HEADER = "execution"
"""Where a running task finds the name of its execution; no message carries it."""


class Gate(Enum):
    """Whether an execution may begin."""

    UNDECIDED = auto()
    OPEN = auto()
    CLOSED = auto()


class AcknowledgedRequest(Request):
    """Acknowledges early before it runs, and records a failure where Celery would put a message back that is gone."""

    gate = Gate.UNDECIDED
    told = False
    """Whether the broker was told at once, early or by the task."""

    _ended: bool
    """Whether its outcome is known; see ``CountedRequest``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        acknowledging = self._app.acknowledging
        self.execution = acknowledging.name_execution() if acknowledging else ""
        self._request_dict[EXECUTION_HEADER] = self.execution

    def execute_using_pool(self, pool: Any, **options: Any) -> Any:
        """Hand the task to the pool once it may begin; until then the request waits, and comes back by itself."""
        acknowledging = self._app.acknowledging
        if self.gate is Gate.UNDECIDED and acknowledging is not None and acknowledging.comes_first(self):
            acknowledging.begin(self)
            if self.gate is Gate.UNDECIDED:
                return None  # it comes back when shared state has answered
        if self.gate is Gate.CLOSED:
            task_ready(self)
            self.forget_acknowledgement()
            raise TaskRevokedError(self.id)
        return super().execute_using_pool(pool, **options)

    @property
    def holding(self) -> Holding:
        """The message, held by this execution."""
        return Holding(message_name(self._request_dict), self.execution)

    @property
    def gone(self) -> bool:
        """Whether the broker has forgotten the message although the work is not done."""
        return self.told or (self.acknowledged and not self.task.acks_late)

    def reject(self, requeue: bool = False) -> None:
        """Reject the message; one that can't go back any more has failed."""
        if requeue and self.gone:
            if not self._ended:
                self._fail_as_lost("was to run again")
        else:
            super().reject(requeue)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Handle a failure; a child process that died after the acknowledgement has lost the work for good."""
        raised = exc_info.exception
        raised = raised.exc if isinstance(raised, ExceptionWithTraceback) else raised
        if self._lost_by(raised):
            try:
                raise lost(self.name, self.id, "its process was lost") from None
            except LostAfterAcknowledgement:
                exc_info = ExceptionInfo()
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def forget_acknowledgement(self) -> None:
        """Remove what shared state knows of this execution; it ended."""
        if self.told:
            self._app.acknowledging.end(self)

    def _lost_by(self, raised: BaseException) -> bool:
        return (
            self.gone
            and isinstance(raised, WorkerLostError | SystemExit | KeyboardInterrupt)
            and not (self._already_cancelled or self._already_revoked)
            and not self.task.retry_on_worker_lost
            and not self._success_was_stored()
        )

    def _fail_as_lost(self, how: str) -> None:
        failure = lost(self.name, self.id, how)
        self.task.backend.mark_as_failure(self.id, failure, request=self._context, store_result=self.store_errors)
        signals.task_failure.send(
            sender=self.task,
            task_id=self.id,
            exception=failure,
            args=self.args,
            kwargs=self.kwargs,
            traceback=None,
            einfo=None,
        )
        self.send_event("task-failed", exception=repr(failure), traceback=None)
