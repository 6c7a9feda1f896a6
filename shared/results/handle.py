"""What a caller gets for a task: Celery's result, light enough to be made and dropped for each of many messages."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery.app import app_or_default
from celery.result import AsyncResult
from vine import promise

from shared.results.store import FleetStore


class FleetResult(AsyncResult):
    """Celery's ``AsyncResult``, which prepares to be waited for when somebody does so.

    Celery's makes a promise for each, and when it is collected tells the store that nobody waits for it.  A group makes
    two results for each member, and drops one at once.
    """

    app: Any

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
        return promise(self._on_fulfilled, weak=True)

    def then(self, callback: Any, on_error: Any = None, weak: bool = False) -> Any:
        """Call something with the result when it is there."""
        self.on_ready  # noqa: B018 - there before the store is told, for then another thread may fulfil it
        return super().then(callback, on_error, weak=weak)

    def get(self, *args: Any, **options: Any) -> Any:
        """Wait for the result, as Celery does."""
        self.on_ready  # noqa: B018 - as in ``then``
        return super().get(*args, **options)

    def __del__(self) -> None:
        if "on_ready" in vars(self) or not isinstance(self.backend, FleetStore):
            super().__del__()
