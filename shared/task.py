"""The base class of every task in a fleet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import sleep
from typing import Any

from celery.app.task import Context, Task, get_actual_ignore_result
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

from shared.arguments import resolved
from shared.canvas.signatures import FleetSignature
from shared.canvas.stamps import packed
from shared.chords.dispatching import refuse_repeated
from shared.delays.fallback import wait_in_a_worker
from shared.delays.producer import DelayFailed
from shared.limits import check as check_limit
from shared.versions import VERSION_HEADER, is_marked_older, mark_following, version_of

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
    keep_failures: bool | None = None
    """Whether its message is kept as a dead letter when it fails for good; as its queue says by default."""
    large_arguments: bool = False
    """Whether its arguments go to storage by themselves when its message would be too large."""
    upgrade_arguments: Callable[..., tuple[Sequence[Any], Mapping[str, Any]]] | None = None
    """Brings arguments of an older message up to date: ``f(task, version, args, kwargs)`` returns both anew."""

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
            acknowledgement: one that was written to a connection which still stood counts as told.  Where the worker
            waits in vain for the broker's answer, the broker may have heard all the same.
        """
        request = self.request_stack.top
        if request is None or request.called_directly or request.is_eager or self.app.acknowledging is None:
            return False
        store_errors = not get_actual_ignore_result(self, request) or bool(self.store_errors_even_if_ignored)
        told: bool = self.app.acknowledging.acknowledge(request, early=not self.acks_late, store_errors=store_errors)
        return told

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, with the values of arguments that lie in storage, those of an older message brought up to date.

        In a worker, drop the end of an execution that others have recorded as lost.

        Raises:
            ArgumentUnavailable: An argument can't be read from storage; the body did not run.
        """
        large, request = self.app.large_arguments, self.request_stack.top
        if request is None or request.called_directly or request.__dict__.get("in_hand"):
            return super().__call__(*resolved(args, large), **resolved(kwargs, large))
        args, kwargs = self._brought_up_to_date(request, args, kwargs)
        args, kwargs = resolved(args, large), resolved(kwargs, large)
        request.in_hand = True
        try:
            refuse_repeated(self.app, request)
            result = self.run(*args, **kwargs)
        except (Retry, Ignore):
            if self._is_acknowledged(request):
                self.app.acknowledging.give_up(request)
            raise
        except Exception:
            self._refuse_if_lost(request)
            raise
        finally:
            request.in_hand = False
        self._refuse_if_lost(request)
        return result

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Publish as Celery does, but leave the arguments of an older signature to the worker, which upgrades them.

        Raises:
            TypeError: The task does not take the arguments of a signature of today.  Nothing was published.
        """
        older = is_marked_older(options.get("headers"), self.app.message_version)
        publisher = self._unchecked() if older else self
        return super(FleetTask, publisher).apply_async(args, kwargs, *rest, **options)

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

    def _unchecked(self) -> FleetTask:
        """Return this task as one that publishes whatever arguments it is given."""
        # ``typing`` of the task itself holds for all threads; a copy by ``copy`` would be the registered task again.
        unchecked = object.__new__(type(self))
        unchecked.__dict__.update(self.__dict__, typing=False, _dump_pydantic_arguments=None)
        return unchecked

    def _brought_up_to_date(self, request: Context, args: Any, kwargs: Any) -> Any:
        """Return the arguments of an execution in today's form, of which its retries are from now on."""
        version = version_of(request.__dict__)
        if request.is_eager or version >= self.app.message_version:
            return args, kwargs
        mark_following(request.__dict__, version)
        if self.upgrade_arguments is not None:
            args, kwargs = self.upgrade_arguments(version, args, kwargs)
        request.update(
            args=args, kwargs=kwargs, headers={**(request.headers or {}), VERSION_HEADER: self.app.message_version}
        )
        return args, kwargs

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
