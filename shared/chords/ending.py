"""Ends a chord whose end this process has claimed: it publishes the body, or calls the errbacks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import redis
from celery import states
from celery.backends.base import _create_chord_error_with_cause
from celery.exceptions import ChordError
from kombu.exceptions import OperationalError

from shared.chords.dispatching import Dispatch, under_way
from shared.chords.record import Record, in_order
from shared.errors import ResultUnavailable

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

KEPT_SECONDS = 86400
"""How long a chord is known that has ended, unless results are kept for longer: a member's message that comes again
must not begin it anew."""
NAMED_AT_MOST = 20
LEFT = "Chord %s can't be ended now, and will be: %s"


def end(app: FleetCelery, chord: str, token: str) -> None:
    """End a chord that is claimed, as its verdict says.

    It raises nothing: what could not be done now is done by whoever finds the chord when the claim has run out.
    """
    try:
        verdict = app.chords.decide(chord, token)
        record = app.chords.load(chord)
        if verdict == "lost" or record is None:
            return
        Ending(app, record, token).carry_out(verdict == "late")
    except (redis.RedisError, OperationalError, OSError, ResultUnavailable) as error:
        logger.warning(LEFT, chord, error)
    except Exception:
        logger.exception(LEFT, chord, "")


class Ending:
    """The end of one chord."""

    def __init__(self, app: FleetCelery, record: Record, token: str) -> None:
        self._app, self._record, self._token = app, record, token
        self._backend = app.backend

    def carry_out(self, late: bool) -> None:
        """Publish the body with the results of the members, or fail the chord.

        Results that can't be read may be read elsewhere, or later: they fail the chord only after its deadline.

        Raises:
            kombu.exceptions.OperationalError: A broker is out of reach.
            ResultUnavailable: A large result can't be read here, and the deadline is yet to come.
        """
        try:
            results = self._results_in_time(late)
        except ChordError as error:
            self._fail(error)
            return
        body = self._record.body_of(self._app)
        try:
            with under_way(self._dispatch("body")):
                self._app.amqp._retry_publish(body.delay, results)  # noqa: SLF001 - as Celery publishes bodies
        except OperationalError:
            raise
        except Exception as error:
            logger.exception("The body of chord %s can't be published.", self._record.id)
            self._fail(_create_chord_error_with_cause(f"Callback error: {error!r}", error))
        else:
            self._app.chords.end(self._record.id, self._token, "done", self._kept_seconds)

    def _results_in_time(self, late: bool) -> list[Any]:
        """Return the results of the members.

        Raises:
            ChordError: The chord is late, one of them failed, or the deadline has passed and they can't be read.
            ResultUnavailable: One is large and can't be read here, and the deadline is yet to come.
        """
        if late:
            raise self._missed()
        try:
            return self._results()
        except (ChordError, redis.RedisError, OperationalError, OSError):
            raise
        except Exception as error:
            if self._app.chords.now() < self._record.deadline:
                raise
            said = f"The results of chord {self._record.id} can't be read, and its deadline has passed: {error}"
            raise _create_chord_error_with_cause(said, error) from error

    def _results(self) -> list[Any]:
        """Return the results of the members.

        Raises:
            ChordError: One of them failed.
            ResultUnavailable: One is large, and can't be read here.
        """
        outcomes = self._app.chords.outcomes(self._record.id)
        decoded = {member: self._backend.decode(kept) for member, kept in outcomes.items()}
        for member in sorted(decoded, key=lambda each: each.place):
            state, result = decoded[member]
            if state in states.PROPAGATE_STATES:
                error = self._backend.exception_to_python(self._backend.resolved(result))
                raise _create_chord_error_with_cause(f"Dependency {member.task_id} raised {error!r}", error)
        results = {member: self._backend.resolved(result) for member, (_, result) in decoded.items()}
        return in_order(self._record.tree, results)

    def _missed(self) -> ChordError:
        """Return the failure of a chord that has not ended before its deadline."""
        ended = self._app.chords.reported(self._record.id)
        missing = [each for each in self._record.task_ids if each not in ended]
        size = self._record.size
        named = ", ".join(missing[:NAMED_AT_MOST]) + (", …" if len(missing) > NAMED_AT_MOST else "")
        number = len(missing) or max(0, (size or 0) - len(ended))
        return ChordError(
            f"Chord {self._record.id} did not end before its deadline of {self._record.seconds:g} s: "
            f"{number} of {size or 'an unknown number of'} members are missing{': ' + named if named else ''}"
        )

    def _fail(self, error: ChordError) -> None:
        """Fail the chord; its errbacks are called once, however often it is reopened."""
        logger.error("%s", error)
        if not self._record.life:
            dispatch = self._dispatch("errback")
            with under_way(dispatch):
                try:
                    raise error
                except ChordError:
                    self._backend.chord_error_from_stack(self._record.body_of(self._app), error)
            if dispatch.undelivered is not None:
                raise dispatch.undelivered
        self._app.chords.end(self._record.id, self._token, "failed", self._kept_seconds)

    def _dispatch(self, kind: str) -> Dispatch:
        return Dispatch(self._record.id, kind, self._token)

    @property
    def _kept_seconds(self) -> float:
        return max(KEPT_SECONDS, float(self._backend.lifetime.total_seconds()))


def outcome(backend: Any, state: str, result: Any) -> str | bytes:
    """Return how a member ended, as it is kept."""
    encoded: str | bytes = backend.encode([state, backend.encode_result(result, state)])
    return encoded
