"""Work that died after its message was acknowledged, and how its failure is recorded.

No broker hands such work out again, so any living worker of the fleet that finds a record whose lease ran out stores
the failure; chords, chains and errbacks then learn of it as of any other failure.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import redis
from celery import states
from celery.app.task import Context
from celery.backends.base import DisabledBackend
from kombu.utils.json import dumps, loads

from shared.errors import LostAfterAcknowledgement
from shared.events import Outcome, TaskEnded
from shared.worker.acknowledged import Acknowledged, Holding
from shared.worker.keeper import RecordKeeper
from shared.worker.keeping import is_wanted, keep_beside, letter_of_lost

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
"""With a lease of 10 seconds, a loss is recorded 11 seconds after the worker's death; where no other worker lived then,
also not before the first one has looked for 8 seconds (``shared.worker.acknowledged``)."""
AT_ONCE = 20


def lost(name: str, task_id: str, how: str) -> LostAfterAcknowledgement:
    """Return the failure of an execution."""
    return LostAfterAcknowledgement(f"{name}[{task_id}] was acknowledged before it was done, and then {how}.")


def keepsake(request: Mapping[str, Any], *, broker: str, store_errors: bool) -> str:
    """Return, as JSON, what the failure of an execution needs: its request, where it came from, whether it is stored.

    Arguments that are no JSON are left out; no errback of a dead worker's task sees them then.
    """
    kept = {"request": dict(request), "broker": broker, "store_errors": store_errors}
    try:
        return str(dumps(kept))
    except TypeError:
        kept["request"] = {name: value for name, value in request.items() if name not in ("args", "kwargs")}
        return str(dumps(kept))


class LossWatch:
    """Looks, from a thread of each worker, for acknowledged work whose worker is dead, and records its failure.

    One worker alone records each.
    """

    def __init__(self, app: FleetCelery, records: Acknowledged, keeper: RecordKeeper, execution: str) -> None:
        self._app = app
        self._records = records
        self._keeper = keeper
        self._execution = execution
        self._ended = Event()

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        Thread(target=self._run, name="losses", daemon=True).start()

    def end(self) -> None:
        """Take nothing over from now on."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            with suppress(redis.RedisError, OSError):
                self._record_all(self._records.take_expired(self._execution, AT_ONCE))
            self._ended.wait(LOOK_EVERY_SECONDS)

    def _record_all(self, taken: Sequence[tuple[Holding, str]]) -> None:
        """Record losses, one after the other; a result store that is slow to answer must let none of them lapse."""
        for holding, _ in taken:
            self._keeper.hold(holding)
        for holding, kept in taken:
            self._record(holding, kept)

    def _record(self, holding: Holding, kept: str) -> None:
        try:
            self._fail(loads(kept))
            self._keeper.let_go(holding)  # before it is removed, which would look like a loss to the keeper
            self._records.finish(holding)
        except Exception:  # whatever the result store or a broker raises: the lease lapses, and it is tried again
            logger.exception("The loss of message %s can't be recorded now.", holding.message)
        finally:
            self._keeper.let_go(holding)

    def _fail(self, kept: Mapping[str, Any]) -> None:
        request = Context(kept["request"])
        record = partial(self._app.backend.mark_as_failure, request=request, store_result=kept["store_errors"])
        stored = self._stored_outcome(request.id)
        if isinstance(stored, LostAfterAcknowledgement):
            # Whoever stored it may not have come to its chord, which knows the same failure when it comes again.
            record(request.id, stored, call_errbacks=False)
        if stored is not None:
            return
        failure = lost(request.task, request.id, "its worker was lost")
        logger.error("%s", failure)
        queue, _ = self._app.amqp.origin(request.delivery_info)
        if is_wanted(self._app, self._app.tasks.get(request.task), queue):  # first: what is recorded is done
            keep_beside(self._app, self._app.brokers[kept["broker"]], letter_of_lost(self._app, kept, str(failure)))
        record(request.id, failure)
        self._app.subscribers.emit(
            TaskEnded(request.task, queue, kept["broker"], Outcome.FAILED, None, type(failure).__name__)
        )

    def _stored_outcome(self, task_id: str) -> Any:
        """Return what is stored of one that ended, and whose worker died before it could remove the record."""
        if isinstance(self._app.backend, DisabledBackend):
            return None
        meta = self._app.backend.get_task_meta(task_id, cache=False)
        if meta["status"] not in states.READY_STATES:
            return None
        return meta["result"] if meta["status"] in states.PROPAGATE_STATES else meta["status"]
