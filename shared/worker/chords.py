"""What a worker does for chords: it watches those of the whole fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps

from shared.chords.watch import ChordWatch
from shared.worker.forking import FORKS

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

STOP_WITHIN_SECONDS = 1.0


class WatchChords(bootsteps.StartStopStep):
    """Ends chords that others left behind, in a fleet that has shared state.

    Where bodies take large arguments only workers with the storage for them do.

    It starts after the pool, so that no child process is forked from a parent with this thread.
    """

    requires = FORKS

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self.enabled = worker.app.chords.configured and can_publish_all(worker.app)
        self._watch: ChordWatch | None = None

    def start(self, worker: Any) -> None:
        """Begin to watch."""
        self._watch = ChordWatch(worker.app)
        self._watch.start()

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Claim nothing more."""
        if self._watch is not None:
            self._watch.end()

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Finish what is claimed, if it does not take long; the claims of the rest run out."""
        if self._watch is not None:
            self._watch.join(STOP_WITHIN_SECONDS)


def can_publish_all(app: FleetCelery) -> bool:
    """Tell whether a process can publish whatever body there may be: a large result of a chord goes to storage."""
    return app.large_arguments is not None or not any(task.large_arguments for task in app.routing.tasks.values())
