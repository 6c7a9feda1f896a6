"""A task request that tells the fleet's subscribers when it starts and how it ends.

It runs in the worker's parent process, where it sees every execution, also those whose child process died.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime
from time import time
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Reject
from celery.worker.state import task_ready

from shared.events import Outcome, TaskEnded, TaskReceived, TaskStarted
from shared.publishing import PUBLISHED_AT_HEADER
from shared.worker.acknowledged_request import AcknowledgedRequest
from shared.worker.adoption import AdoptingRequest
from shared.worker.delays import DueRequest
from shared.worker.executing import PoolRequest
from shared.worker.failures import KeptRequest
from shared.worker.quarantine import CheckedRequest
from shared.worker.suspects import SuspectRequest
from shared.worker.time_limits import LimitedRequest
from shared.worker.unrecorded import UNRECORDED

logger = logging.getLogger(__name__)

OUTCOMES = {
    "task-succeeded": Outcome.SUCCEEDED,
    "task-failed": Outcome.FAILED,
    "task-retried": Outcome.RETRIED,
    "task-rejected": Outcome.REJECTED,
    "task-cancelled": Outcome.REJECTED,
    "task-revoked": Outcome.REVOKED,
}
CLASS_NAME = re.compile(r"^\w+")


class CountedRequest(
    AdoptingRequest,
    DueRequest,
    KeptRequest,
    AcknowledgedRequest,
    SuspectRequest,
    LimitedRequest,
    CheckedRequest,
    PoolRequest,
):
    """Counts each execution once: Celery announces every outcome through ``send_event``, some of them twice."""

    _ended = False
    _exception: str | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        queue, broker = self._message.origin
        self._origin: tuple[str, str] = queue, broker
        self._app.subscribers.emit(TaskReceived(self._type, queue, broker, bool(self._delivery_info["redelivered"])))

    def on_success(self, failed__retval__runtime: tuple[bool, Any, float], **options: Any) -> Any:
        """Handle the end of an execution; of one that succeeded its subscribers are told how long it ran."""
        failed, result, seconds = failed__retval__runtime
        if failed:
            return super().on_success(failed__retval__runtime, **options)
        self.note_success()
        task_ready(self, successful=True)
        if self.task.acks_late:
            self.acknowledge()
        self.tell_ended(Outcome.SUCCEEDED, seconds=seconds)
        super().send_event("task-succeeded", result=result, runtime=seconds)
        return None

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002
        """Tell Celery's monitors and the fleet's subscribers."""
        if type == "task-started":
            self._tell_started()
            # Celery's monitors do not know it, and the publisher, who does, may tell nobody.
            fields |= {"queue": self._origin[0], "group": self.request_dict.get("group")}
        elif type in OUTCOMES:
            self.tell_ended(OUTCOMES[type], fields.get("exception"))
        super().send_event(type, **fields)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Handle a failure as Celery does, and end also those that it announces to nobody: Ignore and Reject.

        Where the failure can't be recorded, for the result store is out of reach, the message goes back: work does
        not end without a record, and the worker does not end with it.
        """
        raised = exc_info.exception
        raised = raised.exc if isinstance(raised, ExceptionWithTraceback) else raised
        self._exception = type(raised).__name__
        try:
            return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        except self._connection_errors:
            raise  # the broker's: the worker connects again, and the message comes back by itself
        except Exception:
            logger.exception(UNRECORDED, self.id)
            self._give_back()
            return None
        finally:
            self.tell_ended(Outcome.REJECTED if isinstance(raised, Reject) else Outcome.IGNORED)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Handle a time limit as Celery does; where the failure can't be recorded, the message goes back."""
        try:
            super().on_timeout(soft, timeout)
        except Exception:
            logger.exception(UNRECORDED, self.id)
            self._give_back()

    def tell_ended(self, outcome: Outcome, exception: str | None = None, seconds: float | None = None) -> None:
        """Tell subscribers how the execution ended, at the first call only."""
        if self._ended:
            return
        self._ended = True
        self.forget_acknowledgement()
        if seconds is None and self.time_start:
            seconds = time() - self.time_start
        name = CLASS_NAME.match(exception) if exception else None
        failure = self._exception or (name.group() if name else None)
        self._app.subscribers.emit(TaskEnded(self.type, *self._origin, outcome, seconds, failure))

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """End a task that is revoked or came too late; where that can't be recorded, the message goes back.

        A broker's error does not come out here: acknowledgements log theirs.  One of its kind is the store's.
        """
        try:
            super()._announce_revoked(reason, terminated, signum, expired)
        except Exception:
            logger.exception(UNRECORDED, self.id)
            self._give_back()
            self._already_revoked = True

    def _give_back(self) -> None:
        if not self.acknowledged:
            self.reject(requeue=True)

    def _tell_started(self) -> None:
        self._app.subscribers.emit(TaskStarted(self.type, *self._origin, self._waited()))

    def _waited(self) -> float | None:
        published = self.request_dict.get(PUBLISHED_AT_HEADER)
        if not isinstance(published, int | float):
            return None
        eta = self.request_dict.get("eta")
        due = max(published, datetime.fromisoformat(eta).timestamp()) if eta else published
        return max(0.0, float(self.time_start) - due)
