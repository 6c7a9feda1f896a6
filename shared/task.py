"""The base class of every task in a fleet."""

from __future__ import annotations

from typing import Any

from celery.app.task import Context, Task, get_actual_ignore_result
from celery.exceptions import Ignore, Reject, Retry
from kombu.exceptions import OperationalError


class FleetTask(Task):
    """A Celery task whose executions are counted in the worker's parent process."""

    abstract = True
    Request = "shared.worker.request:CountedRequest"

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

        Celery drops the message then, and with it the work.  Here it goes back to its broker when the other broker
        is out of reach; when the retry can never be published (an unknown queue, an argument that is no JSON), the
        task fails with that error, and its errbacks run.
        """
        self._refuse_if_lost(self.request)
        try:
            return super().retry(*args, **options)
        except Reject as rejected:
            if isinstance(rejected.reason, OperationalError):
                raise Reject(rejected.reason, requeue=True) from rejected
            raise rejected.reason from rejected

    def _refuse_if_lost(self, request: Context) -> None:
        if self._is_acknowledged(request):
            self.app.acknowledging.refuse_if_lost(request)

    def _is_acknowledged(self, request: Context) -> bool:
        """Tell whether this execution, in a worker, was acknowledged before its end."""
        if self.app.acknowledging is None or request.called_directly or request.is_eager:
            return False
        return not self.acks_late or bool(request.__dict__.get("acknowledged"))
