"""The part of a result store that knows of chords: here they lie in shared state, whatever the store is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import redis
from celery import states
from celery.app.task import Context
from celery.canvas import group
from celery.exceptions import TaskRevokedError
from celery.utils.functional import maybe_list
from kombu.exceptions import OperationalError

from shared.chords.deadline import checked_deadline
from shared.chords.dispatching import dispatch_under_way
from shared.chords.ending import end, outcome
from shared.chords.record import ADDED, Member, Record, ends_of
from shared.chords.repeating import is_repeatable
from shared.errors import FleetError
from shared.versions import mark

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

Answer = TypeVar("Answer")

DEADLINE = "deadline"
"""The option of a chord that says how many seconds it has."""


class ChordsOutOfReach(FleetError, OperationalError):
    """Shared state did not take what was to be noted of a chord."""

    @classmethod
    def by(cls, error: Exception) -> ChordsOutOfReach:
        """Make the error."""
        return cls(f"shared state, which holds the chords, is out of reach ({' '.join(str(error).split())})")


class ChordStore:
    """Goes before one of Celery's result stores in the bases of a class.

    In a fleet without shared state chords are Celery's own, without deadlines and repairs; so are those that a
    publisher of an earlier release began.
    """

    if TYPE_CHECKING:
        app: FleetCelery
        kept: Callable[..., Any]
        may_repeat: Callable[[], bool]
        outlasting: Callable[..., Any]

    def apply_chord(self, header_result_args: Any, body: Any, **options: Any) -> None:
        """Record a chord whose header is about to be published.

        Raises:
            ValueError: Its deadline is no positive number of seconds.  Nothing was published.
            ChordsOutOfReach: Shared state does not answer.  Nothing was published.
        """
        asked = body.options.pop(DEADLINE, None)
        if not self.app.chords.configured:
            super().apply_chord(header_result_args, body, **options)  # type: ignore[misc]
            return
        seconds = self.app.chord_deadline if asked is None else checked_deadline(asked)
        group_id, header = header_result_args
        mark(body, self.app.message_version)  # for whoever publishes it may be of a later release
        record = Record.of(group_id, header, body, seconds, asked=asked is not None)
        again = self.may_repeat() or is_repeatable() or dispatch_under_way() is not None
        self.outlasting(lambda: _reached(lambda: self.app.chords.open(record, again=again)))

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Note how many members a chord has; Celery says so before it publishes the last of them."""
        if not self._noted(lambda: self.app.chords.resize(group_id, chord_size)):
            super().set_chord_size(group_id, chord_size)  # type: ignore[misc]

    def add_to_chord(self, chord_id: str, result: Any) -> None:
        """Note that a chord has one more member."""
        if not self._noted(lambda: self.app.chords.grow(chord_id)):
            super().add_to_chord(chord_id, result)  # type: ignore[misc]

    def on_chord_part_return(self, request: Any, state: str, result: Any, **options: Any) -> None:
        """Report how a member of a chord ended, and end the chord after the last."""
        chord, task_id = request.group, request.id
        if not chord or not task_id or getattr(request, "subtask_type", None) == "group":
            return
        if not self.app.chords.configured:
            self.count_in_store(request, state, result, **options)
            return
        place = ADDED if request.group_index is None else float(request.group_index)
        outcomes = {Member(str(task_id), place): outcome(self, state, result)}
        token = uuid4().hex
        told = self.kept(lambda: _reached(lambda: self.app.chords.report(chord, outcomes, token)))
        if told == "unknown":
            self.count_in_store(request, state, result, **options)
        elif told == "claimed":
            end(self.app, chord, token)

    def count_in_store(self, request: Any, state: str, result: Any, **options: Any) -> None:
        """Count a member of a chord that is Celery's own."""
        super().on_chord_part_return(request, state, result, **options)  # type: ignore[misc]

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = states.REVOKED,
    ) -> None:
        """Store that a task was revoked or expired, and that what comes after it in its chain will not run.

        Celery leaves the rest of the chain pending, and a chord of which the chain is a member waiting.
        """
        super().mark_as_revoked(task_id, reason, request, store_result, state)  # type: ignore[misc]
        if request is not None:
            chain = getattr(request, "chain", None)
            self._fail_chain(chain, TaskRevokedError(reason), store_result=store_result, state=state)

    def chord_error_from_stack(self, callback: Any, exc: Any = None) -> Any:
        """Fail a chord, and with it the chord of which its body is a member; Celery leaves that one waiting."""
        info = super().chord_error_from_stack(without_errbacks_of_outer(callback), exc)  # type: ignore[misc]
        for last in ends_of(callback):
            self._report_failure(last, states.FAILURE, exc)
        return info

    def _fail_chain(
        self, chain: Any, exc: Any, traceback: Any = None, store_result: bool = True, state: str = states.FAILURE
    ) -> None:
        """Fail what comes after a task in its chain, also where that is a group or a chord of a chord around it."""
        super()._fail_chain(chain, exc, traceback, store_result=store_result, state=state)  # type: ignore[misc]
        for step in chain if isinstance(chain, list | tuple) else ():
            if step.get("subtask_type"):
                for last in ends_of(step):
                    self._report_failure(last, state, exc)

    def _call_task_errbacks(self, request: Any, exc: Any, traceback: Any) -> None:
        """Call errbacks; those of a chord whose broker is out of reach are published later."""
        try:
            super()._call_task_errbacks(request, exc, traceback)  # type: ignore[misc]
        except OperationalError as error:
            dispatch = dispatch_under_way()
            if dispatch is None:
                raise
            dispatch.undelivered = error

    def _report_failure(self, last: Mapping[str, Any], state: str, error: Any) -> None:
        options = last.get("options") or {}
        if options.get("chord") and options.get("group_id") and options.get("task_id"):
            member = Context(
                id=options["task_id"],
                group=options["group_id"],
                group_index=options.get("group_index"),
                chord=options["chord"],
            )
            self.on_chord_part_return(member, state, error)

    def _noted(self, note: Callable[[], bool]) -> bool:
        return self.app.chords.configured and bool(self.outlasting(lambda: _reached(note)))


def without_errbacks_of_outer(body: Any) -> Any:
    """Return the body of a chord without the errbacks that the chord around it calls as well.

    ``chord.link_error`` links an errback to chords in its header too, because in Celery such a chord fails alone.
    Here the outer one fails with it, and calls the errback.
    """
    outer = [
        errback
        for last in ends_of(body)
        for errback in ((last.get("options") or {}).get("chord") or {}).get("options", {}).get("link_error") or ()
    ]
    if not outer:
        return body
    body = body.clone()
    for each in (body, *(body.tasks if isinstance(body, group) else ())):
        own = maybe_list(each.options.get("link_error")) or []
        each.options["link_error"] = [errback for errback in own if errback not in outer]
    return body


def _reached(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except (redis.RedisError, OSError) as error:
        raise ChordsOutOfReach.by(error) from error
