"""What a caller gets for a task: Celery's result, light enough to be made and dropped for each of many messages."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery.app import app_or_default
from celery.result import AsyncResult, GroupResult
from vine import barrier, promise

from shared.results.store import FleetStore


class FleetResult(AsyncResult):
    """Celery's ``AsyncResult``, which prepares to be waited for when somebody does so.

    Celery's makes a promise for each, and when it is collected tells the store that nobody waits for it.  A group makes
    two results for each member, and drops one at once; for the other it has the store keep an entry, so that who waits
    for the group hears of it.  Here that waits until somebody does.
    """

    app: Any
    _was_prepared = False
    _to_tell: tuple[Any, ...] = ()
    """Groups that count this result among theirs, and that nobody has waited for."""

    def __init__(
        self,
        id: str,  # noqa: A002 - Celery's signature
        backend: Any = None,
        task_name: str | None = None,  # noqa: ARG002
        app: Any = None,
        parent: Any = None,
    ) -> None:
        if id is None:
            raise ValueError(f"AsyncResult requires valid id, not {type(id)}")
        self.app = app_or_default(app or self.app)
        self.id = id
        self.backend = backend or self.app.backend
        self.parent = parent
        self._cache = None
        self._ignored = False

    @cached_property
    def on_ready(self) -> Any:
        """The promise of the result."""
        self._was_prepared = True
        ready = promise(self._on_fulfilled, weak=True)
        for group in self._to_tell:
            ready.then(group)
        return ready

    def then(self, callback: Any, on_error: Any = None, weak: bool = False) -> Any:
        """Call something with the result when it is there; a group (``weak``) as soon as somebody waits for that."""
        if weak and on_error is None and not self._was_prepared and isinstance(self.backend, FleetStore):
            self._to_tell += (callback,)
            return callback
        self.on_ready  # noqa: B018 - there before the store is told, for then another thread may fulfil it
        return super().then(callback, on_error, weak=weak)

    def expect(self) -> None:
        """Have whoever waits for a group of this result hear of it."""
        if self._to_tell:
            self.on_ready  # noqa: B018 - as in ``then``
            self.backend.add_pending_result(self, weak=True)

    def get(self, *args: Any, **options: Any) -> Any:
        """Wait for the result, as Celery does."""
        self.on_ready  # noqa: B018 - as in ``then``
        return super().get(*args, **options)

    def __del__(self) -> None:
        if self._was_prepared or not isinstance(self.backend, FleetStore):
            super().__del__()


class FleetGroupResult(GroupResult):
    """Celery's ``GroupResult``, which prepares to be waited for when somebody asks for its promise, as ``get`` does.

    Celery's has the store keep an entry for each member at once, in a chord for good: for a result that nobody gets.
    """

    _was_prepared = False

    def __init__(
        self,
        id: str | None = None,  # noqa: A002 - Celery's signature
        results: Any = None,
        parent: Any = None,
        ready_barrier: Any = None,
        **options: Any,
    ) -> None:
        self._counts = ready_barrier is not None
        """Whether the members tell the barrier already."""
        super().__init__(id, results, parent, ready_barrier=ready_barrier or barrier(), **options)
        if type(results) is not list:
            list(results or ())  # the members of a group made of a generator get their ids while it is walked through

    @property
    def on_ready(self) -> Any:
        """The promise of all results."""
        self.expect()
        return self._ready

    @on_ready.setter
    def on_ready(self, ready: Any) -> None:
        self._ready = ready

    def iter_native(self, *args: Any, **options: Any) -> Any:
        """Yield the results as they come, as Celery does."""
        self.expect()  # before Celery says that its barrier has all
        return super().iter_native(*args, **options)

    def add(self, result: Any) -> None:
        """Take a result in, unless it is there already."""
        self.expect()  # a barrier that counts those of before counts this one, too
        super().add(result)

    def expect(self) -> None:
        """Have whoever waits hear of all members."""
        if self._was_prepared:
            return
        self._was_prepared = True
        if self._counts:
            for result in self.results:
                if isinstance(result, FleetResult):
                    result.expect()
        elif self.results:
            for result in self.results:
                self._on_full.add(result)
            self._on_full.finalize()
