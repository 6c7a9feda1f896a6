"""What every result store of a fleet does beyond Celery's: it outlasts outages, and keeps large results in storage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import states
from celery._state import get_current_task
from celery.exceptions import Reject, SoftTimeLimitExceeded
from kombu.utils.encoding import ensure_bytes

from shared.deadlines import time_left
from shared.errors import ResultUnavailable
from shared.results.chords import ChordsOutOfReach, ChordStore
from shared.results.large import is_reference

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

KEEP_SECONDS = 300.0
"""How long a worker holds the outcome of a task that the store does not take; after that the message goes back."""
OUT_OF_REACH_SECONDS = 5.0
"""How long any other operation tries; a worker's parent process must not miss the heartbeats of its broker."""
AT_LEAST_SECONDS = 0.5
"""What one look for a result gets, however little time is left."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
CONFLICTS = 3
"""How often an operation that collided with another is carried out again, at once."""

_outlasting: ContextVar[bool] = ContextVar("outlasting", default=False)


class LargeMeta(dict[str, Any]):
    """What is known of a task whose result lies in storage; it is read when somebody asks for ``result``."""

    def __init__(self, meta: dict[str, Any], read: Callable[[], Any]) -> None:
        super().__init__(meta)
        self._read: Callable[[], Any] | None = read

    def __getitem__(self, key: str) -> Any:
        if key == "result" and self._read is not None:
            self["result"], self._read = self._read(), None
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value as ``dict.get`` does."""
        try:
            return self[key]
        except KeyError:
            return default


class FleetStore(ChordStore):
    """Goes before one of Celery's result stores in the bases of a class.

    A client that asks waits no longer than it said.  A worker that has an outcome keeps it until the store takes it,
    for five minutes at most; then the message goes back to its broker, so that no work ends without a record.
    """

    if TYPE_CHECKING:
        app: FleetCelery
        EXCEPTION_STATES: frozenset[str]
        as_uri: Callable[[], str]
        decode: Callable[[Any], Any]
        encode: Callable[[Any], Any]
        exception_safe_to_retry: Callable[[Exception], bool]
        exception_to_python: Callable[[Any], Any]
        on_backend_retryable_error: Callable[[Exception], None]
        prepare_expires: Callable[[Any], float | None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Else Celery makes a store, with connections of its own, for each thread: with gevent for each task.
        self.thread_safe = True

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do nothing: who waits for a result says so then, and no publish depends on a store."""

    def close(self) -> None:
        """Close the connections of this process; new ones are opened when the store is used again."""
        raise NotImplementedError

    def is_out_of_reach(self, error: Exception) -> bool:
        """Tell whether an error says that the server can't be used now, and may be later."""
        raise NotImplementedError

    @property
    def supports_autoexpire(self) -> bool:
        """Whether nobody has to clean up; with a storage beat runs ``celery.backend_cleanup`` once a day."""
        has_storage = self.app.large_results is not None or self.app.large_arguments is not None
        return not has_storage and bool(super().supports_autoexpire)  # type: ignore[misc]

    @property
    def lifetime(self) -> timedelta:
        """How long after its end the result of a task may still be asked for; nothing when results are kept."""
        conf = self.app.conf
        kept = (conf.result_expires, conf.result_chord_expires, conf.result_failure_expires)
        return timedelta(seconds=max(self.prepare_expires(each) or 0 for each in kept if each is not None))

    def may_repeat(self) -> bool:
        """Tell whether what is published here was published before, maybe, by an execution that died.

        What Celery publishes after a task bears ids that stood in its message; what the task itself publishes has new
        ones, unless its arguments held a canvas with ids.
        """
        if not in_a_task():
            return False
        request = get_current_task().request_stack.top
        return not request.__dict__.get("in_hand") or bool((request.delivery_info or {}).get("redelivered"))

    def outlasting(self, operation: Callable[[], Any]) -> Any:
        """Carry out an operation, again for some seconds while a server is out of reach."""
        return self._outlast(operation, OUT_OF_REACH_SECONDS)

    def encode_result(self, result: Any, state: str) -> Any:
        """Return what is stored of a result: itself, or a reference when it is large.

        Raises:
            ResultNotStored: It is large and can't be written to storage.
        """
        encoded = super().encode_result(result, state)  # type: ignore[misc]
        large = self.app.large_results
        if large is None:
            return encoded
        payload = ensure_bytes(self.encode(encoded))
        if len(payload) <= large.inline_bytes and not is_reference(encoded):
            return encoded
        return large.put(payload)

    def meta_from_decoded(self, meta: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of a task; a large result is read when it is asked for, and a state never needs it."""
        if isinstance(meta, LargeMeta):
            return meta
        if is_reference(meta.get("result")):
            return LargeMeta(meta, partial(self._read_large, meta["result"], meta["status"]))
        return super().meta_from_decoded(meta)  # type: ignore[misc,no-any-return]

    def resolved(self, result: Any) -> Any:
        """Return a stored result itself, in the place of a reference to it.

        Raises:
            ResultUnavailable: It can't be read.
        """
        if not is_reference(result):
            return result
        large = self.app.large_results
        if large is None:
            raise ResultUnavailable(
                f"The result is large, {result.get('bytes')} bytes, and lies in the storage of the workers, which this "
                "process does not have: give its FleetCelery large_results=, over the same storage."
            )
        return self.decode(large.get(result))

    def cleanup(self) -> None:
        """Remove what has expired and does not vanish by itself, large results and arguments among it."""
        if self.app.large_arguments is not None:
            self.app.large_arguments.remove_expired()
        if not self.app.conf.result_expires:
            return
        super().cleanup()  # type: ignore[misc]
        if self.app.large_results is not None:
            self.app.large_results.remove_older_than(self.lifetime)

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **options: Any) -> Any:
        """Store the state and result of a task.

        A state of a task's own, such as ``PROGRESS``, is a courtesy: when it can't be stored that is logged.  One of
        Celery's is kept until the store takes it.
        """
        store = partial(super().store_result, task_id, result, state, *args, **options)  # type: ignore[misc]
        if state in states.ALL_STATES:
            return self.kept(store)
        try:
            with _only_once():
                return store()
        except Exception as error:
            if not self.is_out_of_reach(error):
                raise
            logger.warning("State %s of task %s can't be told now: %s", state, task_id, error)
            return result

    def kept(self, store: Callable[[], Any], pause: float = FIRST_PAUSE_SECONDS) -> Any:
        """Store an outcome, as long as it takes where a task has just ended.

        Args:
            store: Stores it; it may be carried out more than once.
            pause: Seconds before the second time.

        Raises:
            Reject: The store was out of reach for five minutes; the message of the task goes back.
        """
        if not in_a_task():
            return self._outlast(store, OUT_OF_REACH_SECONDS, pause)
        try:
            try:
                return self._outlast(store, KEEP_SECONDS, pause)
            except SoftTimeLimitExceeded:  # raised once, and meant for the work, which is done
                return self._outlast(store, KEEP_SECONDS, pause)
        except Exception as error:
            if _outlasting.get() or not self.may_come_back(error):
                raise
            raise Reject(error, requeue=True) from error

    def _read_large(self, reference: dict[str, Any], state: str) -> Any:
        result = self.resolved(reference)
        return self.exception_to_python(result) if state in self.EXCEPTION_STATES else result

    def may_come_back(self, error: Exception) -> bool:
        """Tell whether what failed with an error may go well later: the store, or a chord's share, is out of reach."""
        return self.is_out_of_reach(error) or isinstance(error, ChordsOutOfReach)

    def _ensure_retryable(
        self,
        func: Callable[..., Any],
        *args: Any,
        fallback_exc: Callable[[str], Exception] | None = None,
        fallback_msg: str | None = None,
        max_retries: int | None = None,  # noqa: ARG002 - Celery counts, we look at the clock
        **options: Any,
    ) -> Any:
        """Carry out an operation; every one of Celery's on a result store passes here."""
        operation = partial(func, *args, **options)
        if _outlasting.get():
            return operation()
        try:
            return self._outlast(operation, OUT_OF_REACH_SECONDS)
        except Exception as error:
            if fallback_exc is None or not self.is_out_of_reach(error):
                raise
            raise fallback_exc(f"{fallback_msg}: {self.unreachable(error)}") from error

    def unreachable(self, error: BaseException) -> str:
        """Say that the server does not answer, without its password."""
        if isinstance(error, ChordsOutOfReach):
            return str(error)
        return f"the result store {self.as_uri()} is out of reach ({' '.join(str(error).split())})"

    def _outlast(self, operation: Callable[[], Any], seconds: float, pause: float = FIRST_PAUSE_SECONDS) -> Any:
        """Carry out an operation again while the server is out of reach, for so many seconds."""
        if _outlasting.get():
            return operation()
        ends, conflicts, told = time.monotonic() + (time_left(seconds) or 0), 0, False
        while True:
            try:
                with _only_once():
                    return operation()
            except Exception as error:
                if self.may_come_back(error):
                    if time.monotonic() + pause > ends:
                        raise
                    if not told:
                        logger.warning("%s; trying for %d s.", self.unreachable(error), seconds)
                    told = True
                elif conflicts < CONFLICTS and self.exception_safe_to_retry(error):
                    conflicts += 1
                else:
                    raise
                self.on_backend_retryable_error(error)
            time.sleep(pause)
            pause = max(pause, min(2 * pause, LONGEST_PAUSE_SECONDS))


def in_a_task() -> bool:
    """Tell whether this is a worker's process or thread of execution, with a task in hand."""
    task = get_current_task()
    request = task.request_stack.top if task else None
    return request is not None and not request.called_directly and not request.is_eager


@contextmanager
def _only_once() -> Iterator[None]:
    """Let what is inside try once: whoever is outside tries again."""
    token = _outlasting.set(True)
    try:
        yield
    finally:
        _outlasting.reset(token)
