"""Work that failed for good: its message is kept as a dead letter before its broker lets go of it.

A failure is final when the message is settled over it and does not go back.  Then the letter takes the place of the
acknowledgement, so that a crash between the two leaves the message and no hole.  What was acknowledged before it was
done (early, or by the task) is gone by then, and its letter is written beside.

Task and queue say whether failures are kept (``FleetTask.keep_failures``, ``QueueSpec.keep_failures``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from billiard.exceptions import Terminated
from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded, WorkerLostError
from celery.worker import state
from celery.worker.request import Request

from shared.dead_letters import DeadLetter, Reason
from shared.worker.keeping import is_wanted, keep_beside, keep_instead
from shared.worker.losses import lost

DETAIL_AT_MOST = 500
TRACEBACK_AT_MOST = 20_000

DIED = (WorkerLostError, SystemExit, KeyboardInterrupt)


class Ending(NamedTuple):
    """How an execution ends for good."""

    reason: Reason
    detail: str
    traceback: str | None = None


class KeptRequest(Request):
    """Part of the request: keeps the message of an execution that failed for good, or came too late."""

    _ending: Ending | None = None

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Handle a failure, and keep the message if it is the last one."""
        raised = exc_info.exception
        raised = raised.exc if isinstance(raised, ExceptionWithTraceback) else raised
        told_later = isinstance(raised, TimeLimitExceeded) and not return_ok  # on_timeout follows
        gone = self.acknowledged
        self._ending = self._ending_by(raised, exc_info) if not told_later and self._may_end(raised) else None
        answer = super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        self._end(gone=gone)
        return answer

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Handle a time limit, and keep the message of a task that was killed at its hard one."""
        gone = self.acknowledged
        if not soft and not state.should_terminate:
            self._ending = Ending(Reason.FAILED, f"TimeLimitExceeded: it ran for more than {timeout:g} s.")
        super().on_timeout(soft, timeout)
        self._end(gone=gone)

    def maybe_expire(self) -> Any:
        """Tell whether it expired, without the note of Celery's that its id is revoked: it may be replayed."""
        revoked = self.id in state.revoked
        expired = super().maybe_expire()
        if expired and not revoked:
            state.revoked.discard(self.id)
        return expired

    def acknowledge(self) -> None:
        """Acknowledge the message; one that failed for good is kept as a dead letter in that step."""
        self._keep_when_settled()
        super().acknowledge()

    def reject(self, requeue: bool = False) -> None:
        """Reject the message; one that goes back has not ended."""
        if requeue:
            self._ending = None
        self._keep_when_settled()
        super().reject(requeue=requeue)

    def die_of_poison(self, deaths: int) -> None:
        """End a task that took its process with it too often; it is kept as what it is."""
        self._ending = None
        super().die_of_poison(deaths)

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        gone = self.acknowledged
        if expired:
            self._ending = Ending(Reason.EXPIRED, f"It expired at {self.expires.isoformat()}.")
        try:
            super()._announce_revoked(reason, terminated, signum, expired)
        finally:
            self._end(gone=gone)

    def _retry_worker_lost(self, exc: Any, exc_info: Any) -> Any:
        ending, self._ending = self._ending, None
        retried = super()._retry_worker_lost(exc, exc_info)
        if not retried:
            self._ending = ending
        return retried

    def _fail_as_lost(self, how: str) -> None:
        super()._fail_as_lost(how)
        self._ending = Ending(Reason.LOST, str(lost(self.name, self.id, how)))
        self._end(gone=True)

    def _may_end(self, raised: BaseException) -> bool:
        """Tell whether the task ends with what was raised, unless its message goes back."""
        if isinstance(raised, Retry | Ignore | Terminated | MemoryError):
            return False
        if isinstance(raised, Reject):
            return not raised.requeue
        ended_by_us = self._already_cancelled or self._already_revoked or state.should_terminate
        return not (isinstance(raised, DIED) and (ended_by_us or self._success_was_stored()))

    def _ending_by(self, raised: BaseException, exc_info: Any) -> Ending:
        lost_after_acknowledgement: bool = self._lost_by(raised)
        if lost_after_acknowledgement:
            return Ending(Reason.LOST, str(lost(self.name, self.id, "its process was lost")))
        told = f"{type(raised).__name__}: {raised}"[:DETAIL_AT_MOST]
        traceback = str(exc_info.traceback)[-TRACEBACK_AT_MOST:] if isinstance(exc_info, ExceptionInfo) else None
        return Ending(Reason.FAILED, told, traceback)

    def _end(self, *, gone: bool) -> None:
        """Keep a message that was acknowledged before its work ended; forget how what goes on has not ended."""
        ending, self._ending = self._ending, None
        if ending is not None and gone and self._is_wanted():
            keep_beside(self._app, self._app.broker, self._letter(ending))

    def _keep_when_settled(self) -> None:
        ending = self._ending
        if ending is None or self.acknowledged:
            return
        self._ending = None
        if not self._is_wanted():
            return
        kept = (self._app, self._message, self._letter(ending), self._connection_errors)
        self._message.ack = lambda multiple=False: keep_instead(*kept)  # noqa: ARG005 - kombu's
        self._message.reject = lambda requeue=False: keep_instead(*kept)  # noqa: ARG005 - kombu's

    def _is_wanted(self) -> bool:
        return is_wanted(self._app, self.task, self._app.amqp.origin(self.delivery_info)[0])

    def _letter(self, ending: Ending) -> DeadLetter:
        queue, broker = self._app.amqp.origin(self.delivery_info)
        return DeadLetter.of(
            self._message,
            queue=queue,
            broker=broker,
            reason=ending.reason,
            detail=ending.detail,
            traceback=ending.traceback,
        )
