"""The base class of every task in a fleet."""

from __future__ import annotations

import logging
from contextlib import suppress
from time import sleep
from typing import Any

from celery.app.task import Context, Task, get_actual_ignore_result
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

from shared.canvas.signatures import FleetSignature
from shared.canvas.stamps import packed
from shared.delays.fallback import wait_in_a_worker
from shared.delays.producer import DelayFailed
from shared.limits import check as check_limit

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
"""How long a task keeps its slot before it goes back, when no server takes its retry: it comes again at once."""


class FleetTask(Task):
    """A Celery task whose executions are counted in the worker's parent process."""

    abstract = True
    Request = "shared.worker.request:CountedRequest"

    fleet_rate_limit: str | float | None = None
    """How often the task may start in the whole fleet, such as ``"100/m"``; ``rate_limit`` is for each worker."""
    fleet_rate_limit_key: str | None = None
    """The name of an argument of the task: the limit then holds for each value of it by itself."""
    fleet_rate_limit_burst: int = 1
    """How many may start together after a pause."""

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Refuse a limit that can't be held."""
        super().on_bound(app)
        check_limit(cls, app)

    def acknowledge(self) -> bool:
        """Tell the broker, from inside the task, that this work never needs to be handed out again.

        From here on the task runs at most once, as one with ``acks_late=False`` does from its start.  Should its
        process or its worker die, it fails with ``LostAfterAcknowledgement`` within 15 seconds, and its chord, chain
        and errbacks learn of it; for the death of a whole worker the fleet needs shared state.  To call it again
        does no harm.  It takes some milliseconds, and at most some seconds while a server is silent.

        Returns:
            Whether the broker was told.  ``False``: the connection was lost, another execution holds the message by
            now, or shared state could not take the record; the broker may hand the work out again.  ``False`` too
            where the task was called directly or eagerly, for then there is no message.  RabbitMQ answers no
            acknowledgement: one that was written to a connection which still stood counts as told.
        """
        request = self.request_stack.top
        if request is None or request.called_directly or request.is_eager or self.app.acknowledging is None:
            return False
        store_errors = not get_actual_ignore_result(self, request) or bool(self.store_errors_even_if_ignored)
        told: bool = self.app.acknowledging.acknowledge(request, early=not self.acks_late, store_errors=store_errors)
        return told

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; in a worker, drop the end of an execution that others have recorded as lost."""
        request = self.request_stack.top
        if request is None or request.called_directly or request.__dict__.get("in_hand"):
            return super().__call__(*args, **kwargs)
        request.in_hand = True
        try:
            result = self.run(*args, **kwargs)
        except (Retry, Ignore):
            if self._is_acknowledged(request):
                self.app.acknowledging.give_up(request)
            raise
        except Exception:
            self._refuse_if_lost(request)
            raise
        self._refuse_if_lost(request)
        return result

    def retry(self, *args: Any, **options: Any) -> Any:
        """Retry as Celery does, but lose nothing when the retry can't be published.

        Celery drops the message then, and with it the work.  Here a retry that shared state does not take is published
        at once, and waits for its time in a worker, as it does with stock Celery.  When its broker is out of reach,
        too, the message goes back after a pause, and the task runs again.  When the retry can never be published (an
        unknown queue, an argument that is no JSON), the task fails with that error, and its errbacks run.
        """
        self._refuse_if_lost(self.request)
        try:
            return super().retry(*args, **options)
        except Reject as rejected:
            reason = rejected.reason
        if isinstance(reason, DelayFailed):
            logger.warning("The retry of task %s waits for its time in a worker: %s", self.request.id, reason)
            try:
                with wait_in_a_worker(reason):
                    return super().retry(*args, **options)
            except Reject as rejected:
                reason = rejected.reason
        if isinstance(reason, OperationalError):
            with suppress(SoftTimeLimitExceeded):
                sleep(PAUSE_SECONDS)
            raise Reject(reason, requeue=True) from reason
        raise reason

    def signature(self, args: Any = None, *rest: Any, **options: Any) -> FleetSignature:
        """Make a signature of this task; ``s`` and ``si`` do so too."""
        return FleetSignature(self, args, *rest, **{"app": self.app, **options})

    subtask = signature

    def signature_from_request(self, request: Context | None = None, *args: Any, **options: Any) -> Any:
        """Make the signature of a retry; a stamp that is called like an option stays a stamp."""
        return super().signature_from_request(packed(request or self.request), *args, **options)

    subtask_from_request = signature_from_request

    def _refuse_if_lost(self, request: Context) -> None:
        if self._is_acknowledged(request):
            self.app.acknowledging.refuse_if_lost(request)

    def _is_acknowledged(self, request: Context) -> bool:
        """Tell whether this execution, in a worker, was acknowledged before its end."""
        if self.acks_late and "acknowledged" not in request.__dict__:  # nearly all, so it comes first
            return False
        if self.app.acknowledging is None or request.called_directly or request.is_eager:
            return False
        return not self.acks_late or bool(request.acknowledged)


def fleet_base(base: type[Task]) -> type[Task]:
    """Return a base class of tasks with what the fleet adds, also where a guide derives it from ``celery.Task``."""
    if issubclass(base, FleetTask):
        return base
    described = {"__module__": base.__module__, "__doc__": base.__doc__, "abstract": True}
    return type(base.__name__, (base, FleetTask), described)
