"""Delayed messages that can't be published when they are due: they step aside, and become dead letters at last.

A refusal is one of the message, and not of the broker, when the broker takes something else in the same moment.
"""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING

import redis
from amqp.exceptions import AccessRefused, FrameError, FrameSyntaxError

from shared.brokers import Broker, BrokerKind
from shared.dead_letters import DeadLetter, Reason, as_bytes, keep
from shared.deadlines import at_most
from shared.delays import outcomes
from shared.delays.entry import Entry
from shared.errors import Undeliverable
from shared.handover import hand_over
from shared.transports.once import try_to_write

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
"""A message that was refused is tried again after the first pause, then after twice as long each time."""
MOST_TRIES = 15
"""With these pauses it is tried for three quarters of an hour: time to make room in a queue."""
FORBIDDEN = (redis.exceptions.NoPermissionError, AccessRefused)
"""The broker's accounts are at fault, and not the message, which waits until they are mended."""
FORBIDDEN_IN_SCRIPT = ("The user executing the script can't", "ACL failure in script")
"""How Redis 7 says so of a command in a script, below an error of no kind of its own."""
PERMANENT = (FrameError, FrameSyntaxError, struct.error)
"""It can't be written as AMQP, or its headers are larger than a frame; to try again changes nothing."""
PROBE_WITHIN_SECONDS = 2.0
RECORD_WITHIN_SECONDS = 4.0
PROBE = "fleet.probe"
"""A queue that does not exist: RabbitMQ confirms what is sent there, and drops it."""
DETAIL_AT_MOST = 500


class Refusals:
    """Decides what becomes of the messages of one mover that were not taken."""

    def __init__(self, app: FleetCelery, token: str) -> None:
        self._app = app
        self._token = token

    def takes_others(self, broker: Broker) -> bool:
        """Tell whether a broker takes messages at all."""
        try:
            with (
                at_most(PROBE_WITHIN_SECONDS),
                hand_over(),
                self._app.amqp.pools[broker].acquire(block=True) as producer,
            ):
                if broker.kind is BrokerKind.REDIS:
                    try_to_write(producer.channel)
                else:
                    producer.publish(b"", exchange="", routing_key=PROBE)
        except Exception:  # noqa: BLE001 - whatever a driver raises: it takes nothing
            return False
        return True

    def note(self, identity: str, raw: bytes, broker: Broker, error: Exception) -> None:
        """Let a claimed entry step aside; after its last try, keep it as a dead letter instead.

        One that the broker's accounts forbid has no last try.
        One that can't be kept stays in the table, where ``inspect scheduled`` shows why, and is tried again.

        Raises:
            redis.RedisError: Shared state does not answer; the claim runs out.
        """
        why = f"{type(error).__name__}: {error}"[:DETAIL_AT_MOST]
        times = self._app.delays.note_refusal(identity, why)
        cause = error.__cause__ or error
        last = isinstance(cause, PERMANENT) or (times >= MOST_TRIES and not is_forbidden(cause))
        if last:
            self._app.delays.release([identity], self._token)
            claimed, _ = self._app.delays.claim([identity], self._token)  # anew, for it has to last
            if not claimed:
                return
            if self._bury(identity, raw, broker, why):
                self._app.delays.remove([identity])
                return
        pause = pause_after(times)
        logger.warning("Delayed message %s was not taken, and is tried again in %.0f s: %s", identity, pause, why)
        self._app.delays.release([identity], self._token, pause)

    def _bury(self, identity: str, raw: bytes, broker: Broker, why: str) -> bool:
        """Keep a dead letter and record the failure; tell whether it is kept."""
        try:
            entry = Entry.decode(raw)
        except ValueError:
            entry = None
        try:
            with hand_over():
                keep(self._app, broker, letter_of(entry, why) if entry else unreadable(identity, raw, why))
        except Exception:
            logger.exception("Delayed message %s can't be kept as a dead letter now, and stays in the table.", identity)
            return False
        logger.error("Delayed message %s is kept as a dead letter on broker %s: %s", identity, broker, why)
        error = Undeliverable(f"It was refused when it was due, and is kept as a dead letter: {why}")
        try:
            with at_most(RECORD_WITHIN_SECONDS):
                self._fail(identity, entry, error)
        except Exception:
            logger.exception("The result of delayed message %s could not be stored as failed.", identity)
        return True

    def _fail(self, identity: str, entry: Entry | None, error: Undeliverable) -> None:
        if entry is not None:
            outcomes.fail(self._app, entry, error)
        else:
            self._app.backend.mark_as_failure(task_id_of(identity), error)


def is_forbidden(error: BaseException) -> bool:
    """Tell whether an error is about what the account of this process may do."""
    return isinstance(error, FORBIDDEN) or (
        isinstance(error, redis.ResponseError) and any(words in str(error) for words in FORBIDDEN_IN_SCRIPT)
    )


def pause_after(times: int) -> float:
    """Return how long a message waits after so many refusals."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(times - 1, 30))


def letter_of(entry: Entry, why: str) -> DeadLetter:
    """Return the dead letter of an entry; its body is not compressed."""
    message = entry.message
    return DeadLetter(
        id=entry.task_id,
        task=entry.task,
        queue=entry.queue,
        broker=entry.broker,
        reason=Reason.REFUSED,
        detail=why,
        headers={name: value for name, value in entry.headers.items() if name != "compression"},
        properties=message["properties"],
        content_type=message["content_type"],
        content_encoding=message["content_encoding"],
        body=as_bytes(outcomes.body_of(entry)),
    )


def unreadable(identity: str, raw: bytes, why: str) -> DeadLetter:
    """Return the dead letter of an entry that can't be read; its body is all of it, as it lay in the table."""
    broker, _, queue = raw.partition(b"\n")[0].decode(errors="replace").partition(" ")
    return DeadLetter(
        id=task_id_of(identity), queue=queue, broker=broker, reason=Reason.UNDECODABLE, detail=why, body=raw
    )


def task_id_of(identity: str) -> str:
    """Return the id of an entry's task."""
    return identity.rpartition("/")[0]
