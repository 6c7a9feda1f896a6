"""What a worker does for delayed tasks: it moves those of the whole fleet, and starts one that is due at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celery import bootsteps

from shared.delays.mover import Mover
from shared.delays.producer import WAITED_HEADER
from shared.worker.forking import FORKS

STOP_WITHIN_SECONDS = 1.0


class MoveDelayed(bootsteps.StartStopStep):
    """Moves delayed tasks of every queue and broker, in a fleet that has shared state.

    It starts after the pool, so that no child process is forked from a parent with these threads.
    """

    requires = FORKS

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self.enabled = worker.app.state.configured
        self._mover: Mover | None = None

    def start(self, worker: Any) -> None:
        """Begin to move."""
        self._mover = Mover(worker.app)
        self._mover.start()

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Claim nothing more."""
        if self._mover is not None:
            self._mover.end()

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Give up what is claimed, unless shared state does not answer; then the claims run out."""
        if self._mover is not None:
            self._mover.join(STOP_WITHIN_SECONDS)


class DueRequest:
    """Part of the request: an eta that has passed is none, so that the worker does not hold the task for it.

    Celery would put the request into its timer and take one message more meanwhile.  The task itself still finds its
    ``self.request.eta``.
    """

    @property
    def eta(self: Any) -> datetime | None:
        """When the task may start; ``None`` for at once."""
        eta: datetime | None = self._eta
        if eta is None or self._request_dict.get(WAITED_HEADER) == self._request_dict["eta"]:
            return None
        return eta if eta > datetime.now(UTC) else None
