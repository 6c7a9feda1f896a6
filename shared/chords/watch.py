"""Looks for chords that nobody ends, from a thread of each worker, and ends them.

A chord is left behind when the process dies that was to publish its body, when a member ended and died before it could
report that, or when a member is gone for good.  The first is seen when the claim of the dead process runs out.  For the
second, chords without news are looked at after 5 seconds, and then after twice as long each time, up to 5 minutes: what
the result store knows of the missing members is taken for their report.  For the third there is the deadline.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from random import sample
from threading import Event, Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import redis
from celery import states
from celery.backends.base import DisabledBackend

from shared.chords.ending import end, outcome
from shared.chords.record import UNKNOWN, Member, Record
from shared.chords.table import Found

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
AT_ONCE = 10
ASKED_AT_MOST = 500
"""Of how many missing members of a chord the result store is asked at one look; of others, at the next."""


class ChordWatch:
    """Watches the chords of the whole fleet, beside the watches of all other workers."""

    def __init__(self, app: FleetCelery) -> None:
        self._app = app
        self._ended = Event()
        self._thread = Thread(target=self._run, name="chords", daemon=True)
        self._out_of_reach = False

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        self._thread.start()

    def end(self) -> None:
        """Claim nothing from now on."""
        self._ended.set()

    def join(self, seconds: float) -> None:
        """Wait until what is claimed has ended, for so long at most; the claims of the rest run out."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._ended.wait(LOOK_EVERY_SECONDS):
            try:
                self.look()
                self._out_of_reach = False
            except (redis.RedisError, OSError) as error:
                if not self._out_of_reach:
                    logger.warning("Shared state does not answer; chords are not watched: %s", type(error).__name__)
                self._out_of_reach = True
            except Exception:  # without this thread nothing would be watched from here
                logger.exception("Chords can't be watched now.")

    def look(self) -> None:
        """Look after the chords that need it now."""
        token = uuid4().hex
        for found in self._app.chords.look(token, AT_ONCE):
            if self._ended.is_set():
                return
            try:
                self._look_after(found, token)
            except (redis.RedisError, OSError):
                raise
            except Exception:  # one chord must not hold up the others, whatever is wrong
                logger.exception("Chord %s can't be looked after now.", found.id)

    def _look_after(self, found: Found, token: str) -> None:
        record = self._app.chords.load(found.id)
        if record is None:
            return
        if found.why == "left":
            logger.warning("Chord %s is complete, and nobody has ended it; done now.", found.id)
            end(self._app, found.id, token)
            return
        missing = self._missing(record)
        claimed = self._report_ended(record, missing, token)
        if found.why == "overdue":
            if record.asked or not self._waits_for_its_time(missing):
                end(self._app, found.id, token)
            elif self._app.chords.put_off(found.id, token, record.seconds):
                logger.info("Chord %s has members that wait for their time; its deadline is put off.", found.id)
        elif claimed:
            end(self._app, found.id, token)

    def _missing(self, record: Record) -> list[str]:
        """Return the members that have not reported, and bear a task id of their own."""
        ended = self._app.chords.reported(record.id)
        return [task_id for task_id, times in Counter(record.task_ids).items() if times == 1 and task_id not in ended]

    def _report_ended(self, record: Record, missing: Sequence[str], token: str) -> bool:
        """Report members of which the result store knows the end; tell whether the chord is to be ended here."""
        backend = self._app.backend
        if not missing or isinstance(backend, DisabledBackend):
            return False
        found = {}
        for task_id in sample(missing, min(len(missing), ASKED_AT_MOST)):
            if (ended := self._outcome_of(task_id)) is not None:
                found[Member(task_id, UNKNOWN)] = ended
        if not found:
            return False
        logger.warning("%d members of chord %s had ended without a report; it has it now.", len(found), record.id)
        return self._app.chords.report(record.id, found, token) == "claimed"

    def _outcome_of(self, task_id: str) -> str | bytes | None:
        """Return how a task ended; ``None`` where it has not, or its result can't be read."""
        backend = self._app.backend
        try:
            meta = backend.get_task_meta(task_id, cache=False)
            return outcome(backend, meta["status"], meta["result"]) if meta["status"] in states.READY_STATES else None
        except Exception as error:
            if isinstance(error, redis.RedisError | OSError) or backend.is_out_of_reach(error):
                raise
            logger.warning("The result of task %s can't be had for its chord: %s", task_id, error)
            return None

    def _waits_for_its_time(self, missing: Sequence[str]) -> bool:
        """Tell whether a missing member waits for a countdown, an eta or its next try."""
        return bool(self._app.delays.ids_of(missing))
