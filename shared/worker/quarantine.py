"""Messages that no worker can run: told from good ones, kept as dead letters, and never in the way of others.

A message is looked through once, when its request is made: what is wrong with it would otherwise show in the middle
of the worker's loop and end it.  What is kept has its result stored as failed, so that callers and chords hear of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from celery import signals
from celery.app.task import Context
from celery.exceptions import NotRegistered
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError

from shared.dead_letters import DEEPEST, DeadLetter, Reason, bury, is_deep
from shared.errors import BadMessage
from shared.transports.unreadable import UNREADABLE_HEADER
from shared.versions import VERSION_HEADER, mark_following, version_of
from shared.worker.poison import coroner_of
from shared.worker.unrecorded import UNRECORDED, may_be_recorded_later

logger = logging.getLogger(__name__)

LONGEST_TIME_LIMIT = 10.0**9
"""Seconds; no time limit is longer than some thirty years, and timers overflow far above."""
DETAIL_AT_MOST = 500

TEXT, WHOLE, LIST, TABLE = (str,), (int,), (list, tuple), (dict, Mapping)
HEADERS: Mapping[str, tuple[type, ...]] = {
    "id": TEXT,
    "task": TEXT,
    "root_id": TEXT,
    "parent_id": TEXT,
    "group": TEXT,
    "group_index": WHOLE,
    "shadow": TEXT,
    "retries": WHOLE,
    VERSION_HEADER: WHOLE,
    "argsrepr": TEXT,
    "kwargsrepr": TEXT,
    "replaced_task_nesting": WHOLE,
    "stamped_headers": LIST,
    "stamps": TABLE,
    "reply_to": TEXT,
    "correlation_id": TEXT,
}
"""What Celery's worker takes for granted of these headers, where they are given."""
SIGNATURES = ("callbacks", "errbacks", "chain")


class CheckedRequest(Request):
    """A request whose message is one of a task in every part that Celery's worker relies on."""

    _payload: Any = None
    """What the body says; an attribute, for it is asked for several times and Celery's property takes a lock."""

    def __init__(self, message: Any, *args: Any, **options: Any) -> None:
        super().__init__(message, *args, **options)
        self._payload = self._body if self._decoded else message.payload
        check_headers(self._request_dict)
        check_body(self._payload)
        version, (_, _, embedded) = version_of(self._request_dict), self._payload
        if version < self._app.message_version and embedded:
            mark_following(embedded, version)  # its errbacks may be published here
        if self._eta is not None and self.eta is not None:
            check_time("eta", self.eta)
        if self._expires is not None:
            check_time("expires", self._expires)
        message.judged = True


class QuarantiningConsumer(Consumer):
    """A consumer that no message stops: what it does not understand it keeps as a dead letter."""

    connection_errors: tuple[type[BaseException], ...]
    channel_errors: tuple[type[BaseException], ...]

    def guarded(self, handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a handler of messages that keeps those which can't be understood.

        What is raised once a message is judged, good or bad, is not its fault, and is raised on.
        """

        def handle_or_keep(message: Any) -> Any:
            try:
                return handle(message)
            except MemoryError:
                raise
            except Exception as error:
                if getattr(message, "judged", False):
                    raise
                return self.quarantine(message, reason_of(error), error)

        return handle_or_keep

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a message whose bytes can't be turned into values."""
        self.quarantine(message, Reason.UNDECODABLE, exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Keep a message that names no task."""
        unreadable = isinstance(message.headers, Mapping) and message.headers.get(UNREADABLE_HEADER)
        reason = Reason.UNDECODABLE if unreadable else Reason.BAD_MESSAGE
        error = BadMessage("Its properties can't be decoded." if unreadable else "It names no task.")
        self.quarantine(message, reason, error)
        signals.task_rejected.send(sender=self, message=message, exc=None)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Keep a message whose values are not those of a task."""
        self.quarantine(message, reason_of(exc), exc)
        signals.task_rejected.send(sender=self, message=message, exc=exc)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Keep a message whose task this worker does not have."""
        name = str(exc.args[0])
        self.quarantine(message, Reason.UNKNOWN_TASK, NotRegistered(name))
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=identity(message))

    def on_newer_message(self, message: Any, said: str) -> None:
        """Keep a message that is of a newer release than this worker."""
        self.quarantine(message, Reason.NEWER_RELEASE, BadMessage(said))

    def quarantine(self, message: Any, reason: Reason, error: Exception) -> None:
        """Store the failure of a message's task, and keep the message as a dead letter.

        While the result store is out of reach the message goes back.  One that can't be kept now stays
        unacknowledged: it is lost to nobody, and comes again with the next connection.

        Raises:
            Exception: The connection to the broker broke.
        """
        message.judged = True
        queue = self._queue_of(message)
        detail = f"{type(error).__name__}: {error}"[:DETAIL_AT_MOST]
        if not self._fail(message, error if isinstance(error, NotRegistered) else BadMessage(f"{reason}: {detail}")):
            message.reject_log_error(logger, self.connection_errors, requeue=True)
            return
        logger.error("A message of queue %s is kept as a dead letter (%s): %s", queue, reason, detail)
        letter = DeadLetter.of(message, queue=queue, broker=self.app.broker.alias, reason=reason, detail=detail)
        try:
            bury(self.app, message, letter)
        except Exception as failure:
            # One that was not published left this connection as sound as it was.
            if isinstance(failure, self._broken_connection) and not isinstance(failure, OperationalError):
                raise
            logger.critical("It can't be kept now and stays unacknowledged.", exc_info=True)
            self.qos.increment_eventually()  # the place that it takes up in the window

    @property
    def _broken_connection(self) -> tuple[type[BaseException], ...]:
        return (*self.connection_errors, *self.channel_errors)

    def _queue_of(self, message: Any) -> str:
        info = message.delivery_info
        return str(self.app.amqp.origin(info)[0]) if isinstance(info, Mapping) else "unknown"

    def _fail(self, message: Any, error: Exception) -> bool:
        """Store the failure of a message's task; answers whether there is no use in trying it another time."""
        task_id = identity(message)
        if task_id is None:
            return True
        try:
            self.app.backend.mark_as_failure(task_id, error, request=context_of(message))
        except Exception as failure:
            if may_be_recorded_later(self.app.backend, failure):
                logger.exception(UNRECORDED, task_id)
                coroner_of(self.app).acquit_message(task_id)
                return False
            logger.exception("The result of task %s could not be stored as failed.", task_id)
        return True


def check_headers(headers: Mapping[str, Any]) -> None:
    """Check what a message says of its task.

    Raises:
        BadMessage: A value is not of its kind.
    """
    if not headers["id"]:
        refuse("id", headers["id"])
    for name in HEADERS.keys() & headers:
        value = headers[name]
        if value is not None and not isinstance(value, HEADERS[name]):
            refuse(name, value)
    limits = headers.get("timelimit")
    if limits and limits != [None, None]:
        check_limits(limits)
    if is_deep(headers):  # which the pool could not hand to a child
        raise BadMessage(f"Its headers are nested more than {DEEPEST} levels deep.")


def check_limits(limits: Any) -> None:
    """Check the two time limits of a message, the hard one first.

    Raises:
        BadMessage: They are not two numbers of seconds, or ``None``.
    """
    if not isinstance(limits, LIST) or len(limits) != 2:
        refuse("timelimit", limits)
    for limit in limits:
        if limit is not None and not (isinstance(limit, int | float) and 0 <= limit <= LONGEST_TIME_LIMIT):
            refuse("timelimit", limits)


def check_body(body: Any) -> None:
    """Check positional arguments, keyword arguments, and what comes after the task.

    Raises:
        BadMessage: A part is missing or not of its kind.
    """
    arguments, keywords, embedded = body
    if not isinstance(arguments, LIST):
        refuse("args", arguments)
    if not isinstance(keywords, TABLE):
        refuse("kwargs", keywords)
    if embedded is None:
        return
    if not isinstance(embedded, TABLE):
        refuse("embed", embedded)
    for name in SIGNATURES:
        signatures = embedded.get(name)
        if signatures and not (isinstance(signatures, LIST) and all(map(is_signature, signatures))):
            refuse(name, signatures)
    if embedded.get("chord") and not is_signature(embedded["chord"]):
        refuse("chord", embedded["chord"])


def check_time(name: str, value: Any) -> None:
    """Check that a time is one, and can be reckoned with.

    Raises:
        BadMessage: It is none, or beyond what a clock can show.
    """
    if not isinstance(value, datetime):
        refuse(name, value)
    try:
        value.astimezone(UTC)
    except (OverflowError, ValueError):
        refuse(name, value)


def is_signature(value: Any) -> bool:
    """Tell whether a value can be a signature: a mapping that names a task."""
    return isinstance(value, Mapping) and isinstance(value.get("task"), str)


def refuse(name: str, value: Any) -> NoReturn:
    """Say what is wrong with a message, without the value itself, which may be a secret.

    Raises:
        BadMessage: Always.
    """
    raise BadMessage(f"Its {name} is not what a task's is, but {type(value).__name__} of another form.")


def reason_of(error: Exception) -> Reason:
    """Return why a message is kept, by what was raised over it."""
    undecodable = isinstance(error, DecodeError | ContentDisallowed | UnicodeError)
    return Reason.UNDECODABLE if undecodable else Reason.BAD_MESSAGE


def identity(message: Any) -> str | None:
    """Return the id of a message's task, if it has one: from its headers, or from the body as before Celery 4."""
    for place in (message.headers, message._decoded_cache):  # noqa: SLF001 - never decode a bad message again
        task_id = place.get("id") if isinstance(place, Mapping) else None
        if task_id and isinstance(task_id, str):
            return task_id
    return None


def context_of(message: Any) -> Context:
    """Return the request of a message as far as it can be read, for its chord and errbacks to hear of its failure."""
    headers = message.headers if isinstance(message.headers, Mapping) else {}
    try:
        _, _, embedded = message.payload
        check_body(message.payload)
    except Exception:  # noqa: BLE001 - whatever is wrong with it: nothing is known of what comes after it
        embedded = None
    return Context({**headers, **(embedded or {})})
