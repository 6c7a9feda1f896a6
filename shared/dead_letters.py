"""Dead letters: messages that were taken out of circulation, kept whole with the reason.

They land on the broker that they came from: on Redis in the list ``fleet.dead``, on RabbitMQ in the durable queue
``fleet.dead``.  Both hold the same JSON objects; see ``DeadLetter`` for their fields.  Whoever keeps a ledger
collects them from there (``shared.letter_boxes``); without one they stay.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from amqp.exceptions import ChannelError

from shared.brokers import Broker, BrokerKind
from shared.producers import PublishFailed
from shared.queues import DEAD_LETTERS
from shared.transports.claims import DEAD

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

CONTENT_TYPE = "application/vnd.fleet.dead-letter+json"
READ_AT_ONCE = 100
REPLAY_HEADER = "replay"
"""Message header of a replayed message: the number of the dead letter that it was, and how often it was replayed."""
DEEPEST = 100
"""How many levels headers and properties may have; databases and JSON's writers know no more than some hundreds."""


class Reason(StrEnum):
    """Why a message was taken out."""

    FAILED = "failed"
    """Its task raised, ran into its hard time limit or rejected its message, and is not tried again."""
    EXPIRED = "expired"
    """It came to a worker after its time; or RabbitMQ dropped it then, for a publisher had told it to."""
    LOST = "lost after acknowledgement"
    """Its task died when the message was acknowledged already, so no broker hands it out again."""
    UNDECODABLE = "undecodable"
    """Its bytes could not be turned into values: broken JSON, an unknown compression, a forbidden content type."""
    UNKNOWN_TASK = "unknown task"
    """The worker has no task of that name."""
    NEWER_RELEASE = "newer release"
    """It is of a newer release than its workers were for half an hour; those of that release can run it."""
    BAD_MESSAGE = "bad message"
    """Its values are not those of a task: no id, no arguments, a time limit that is no number."""
    POISON = "poison"
    """Its task took the process with it as often as the queue table allows."""
    REFUSED = "refused"
    """It had waited for its time, and its broker did not take it then, as often as it was tried."""
    DROPPED_BY_BROKER = "dropped by the broker"
    """RabbitMQ itself took it out, after too many deliveries or at the end of its lifetime; the headers say more."""


def known_reason(told: object) -> Reason:
    """Return the reason of a name; what only a newer release knows is a failure to this one.

    Raises:
        TypeError: It is no name.
    """
    if not isinstance(told, str):
        raise TypeError("A reason is not a text.")
    return Reason(told) if told in set(Reason) else Reason.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One message that was taken out of circulation, as it was.

    A message that could not even be taken apart has neither headers nor properties; ``body`` is then all of it, as it
    lay in the broker.  The body of a compressed message is kept decompressed, and without its ``compression`` header.
    """

    id: str | None = None
    """The task's id, where it had one."""
    task: str | None = None
    queue: str
    broker: str | None = None
    """Alias of the broker that keeps it."""
    reason: Reason
    detail: str
    """What was wrong, for a person."""
    traceback: str | None = None
    """Where it was raised, of a task that failed."""
    at: float = field(default_factory=time.time)
    """When it was taken out, in seconds since the epoch."""
    headers: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    body: bytes

    @classmethod
    def of(
        cls, message: Any, *, queue: str, broker: str, reason: Reason, detail: str, traceback: str | None = None
    ) -> Self:
        """Return the dead letter of a message that a worker received."""
        headers = dict(message.headers) if isinstance(message.headers, Mapping) else {}
        if not message.errors:  # its body is decompressed
            headers.pop("compression", None)
        identity, task = headers.get("id"), headers.get("task")
        return cls(
            id=identity if isinstance(identity, str) else None,
            task=task if isinstance(task, str) else None,
            queue=queue,
            broker=broker,
            reason=reason,
            detail=detail,
            traceback=traceback,
            headers=headers,
            properties=message.properties,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            body=as_bytes(message.body),
        )

    def dumps(self) -> bytes:
        """Return it as it is kept: a JSON object, in which ``body_encoding`` says how to read ``body``."""
        try:
            body, encoding = self.body.decode(), "utf-8"
        except UnicodeDecodeError:
            body, encoding = base64.b64encode(self.body).decode(), "base64"
        told = {each.name: getattr(self, each.name) for each in fields(self)}
        return json.dumps({**told, "body": body, "body_encoding": encoding}, default=plain).encode()

    @classmethod
    def loads(cls, kept: bytes | str) -> Self:
        """Return a dead letter from what is kept; what is none comes as an undecodable one."""
        try:
            found = json.loads(kept)
            body, encoding = found.pop("body"), found.pop("body_encoding")
            content = base64.b64decode(body) if encoding == "base64" else body.encode()
            known = {name: found[name] for name in NAMES & found.keys()}  # a later release may write more
            letter = cls(**{**known, "reason": known_reason(found["reason"]), "body": content}).checked()
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, OSError, RecursionError) as error:
            detail = f"It lay among the dead letters and is none: {type(error).__name__}"
            return cls(queue=DEAD, reason=Reason.UNDECODABLE, detail=detail, body=as_bytes(kept))
        if letter.reason != found["reason"]:
            return replace(letter, detail=f"{found['reason']}: {letter.detail}")
        return letter

    @property
    def digest(self) -> str:
        """What tells it from others: equal for two letters of one message, which a crash may leave.

        A message without an id can't be told from another one like it, so each letter of such a one is its own.
        Neither the reason belongs to it nor what the broker wrote into the headers: two deaths of one message may
        differ in both.
        """
        if self.id is None:
            return hashlib.sha256(self.dumps()).hexdigest()
        headers = {name: value for name, value in (self.headers or {}).items() if not name.startswith("x-")}
        told = [self.broker, self.queue, headers, base64.b64encode(self.body).decode()]
        return hashlib.sha256(json.dumps(told, default=plain, sort_keys=True).encode()).hexdigest()

    def header(self, name: str) -> str | None:
        """Return a header that is a text, if there is one: ``root_id``, ``parent_id``, ``group``, ``origin``."""
        value = (self.headers or {}).get(name)
        return value if isinstance(value, str) else None

    @property
    def replay_of(self) -> int | None:
        """The number of the dead letter whose replay this message was."""
        return self._replay("of") or None

    @property
    def replays(self) -> int:
        """How often its message was replayed before."""
        return self._replay("times")

    def checked(self) -> Self:
        """Return it, if each field is of its kind; what lies among dead letters may be anybody's.

        Raises:
            TypeError, ValueError, OverflowError, OSError: One is not.
        """
        told: Sequence[Any] = (self.queue, self.detail)
        texts = (self.id, self.task, self.broker, self.traceback, self.content_type, self.content_encoding)
        right = (
            all(isinstance(text, str) for text in told)
            and all(isinstance(text, str | None) for text in texts)
            and all(isinstance(table, Mapping | None) for table in (self.headers, self.properties))
            and not is_deep([self.headers, self.properties])
        )
        if not right:
            raise TypeError("A field is not of its kind.")
        datetime.fromtimestamp(self.at, UTC)
        return self

    def _replay(self, name: str) -> int:
        told = (self.headers or {}).get(REPLAY_HEADER)
        value = told.get(name) if isinstance(told, Mapping) else None
        return value if isinstance(value, int) else 0


NAMES = frozenset(each.name for each in fields(DeadLetter))


def unreadable_letter(payload: bytes, *, queue: str, reason: Reason, detail: str) -> bytes:
    """Return the dead letter of a message that could not even be taken apart, as it is kept.

    Args:
        payload: The message as it lay in the broker.
        queue: Where it lay.
        reason: Why it was taken out.
        detail: What went wrong with it.
    """
    return DeadLetter(queue=queue, reason=reason, detail=detail, body=payload).dumps()


def bury(app: FleetCelery, message: Any, letter: DeadLetter) -> None:
    """Keep a dead letter in the place of a message that this worker holds, and acknowledge the message.

    On Redis this is one step.  On RabbitMQ the message is acknowledged once the broker has confirmed the letter: a
    crash between the two keeps it twice, never not at all.

    Raises:
        Exception: Whatever the broker's client raises; the message is still held then.
    """
    if app.broker.kind is BrokerKind.REDIS:
        message.channel.bury(message.delivery_tag, letter.dumps())
        message._state = "ACK"  # noqa: SLF001 - kombu has no other way to say that it is settled
        return
    keep(app, app.broker, letter)
    type(message).ack(message)


def keep(app: FleetCelery, broker: Broker, letter: DeadLetter) -> None:
    """Keep a dead letter on a broker.

    Raises:
        Exception: Whatever the broker's client raises; it may be kept all the same.
    """
    if broker.kind is BrokerKind.REDIS:
        with app.amqp.pools[broker].acquire(block=True) as producer, producer.channel.conn_or_acquire() as client:
            client.lpush(DEAD, letter.dumps())
        return
    try:
        _publish(app, broker, letter)
    except PublishFailed as error:
        if not isinstance(error.__cause__, ChannelError):
            raise
        _publish(app, broker, letter)  # the queue was gone, and is declared now


def _publish(app: FleetCelery, broker: Broker, letter: DeadLetter) -> None:
    with app.amqp.pools[broker].acquire(block=True) as producer:
        producer.publish(
            letter.dumps(),
            exchange="",
            routing_key=DEAD,
            declare=[DEAD_LETTERS],
            mandatory=True,
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=2,
            retry=True,
            retry_policy=app.conf.task_publish_retry_policy,
        )


def dead_letters(app: FleetCelery, broker: str) -> Iterator[DeadLetter]:
    """Read the dead letters that a broker keeps, and leave them there.

    Args:
        app: The fleet.
        broker: Alias of the broker.

    Returns:
        Them all; on Redis the oldest first.  While RabbitMQ's are read, nobody else sees them.
    """
    read = _on_redis if app.brokers[broker].kind is BrokerKind.REDIS else _on_rabbitmq
    for letter in read(app, broker):
        yield letter if letter.broker else replace(letter, broker=broker)


def _on_redis(app: FleetCelery, broker: str) -> Iterator[DeadLetter]:
    with app.connection_for_read(broker) as connection:
        client = connection.default_channel.client
        for last in range(-1, -client.llen(DEAD) - 1, -READ_AT_ONCE):
            yield from map(DeadLetter.loads, reversed(client.lrange(DEAD, last - READ_AT_ONCE + 1, last)))


def _on_rabbitmq(app: FleetCelery, broker: str) -> Iterator[DeadLetter]:
    with app.connection_for_read(broker) as connection, connection.channel() as channel:
        DEAD_LETTERS.bind(channel).declare()
        while message := channel.basic_get(DEAD):
            yield read_letter(channel.message_to_python(message), broker)


def read_letter(message: Any, broker: str) -> DeadLetter:
    """Return the dead letter of a message in RabbitMQ's queue of them, also of one that RabbitMQ put there itself."""
    if message.content_type == CONTENT_TYPE:
        return DeadLetter.loads(message.body)
    deaths = message.headers.get("x-death")
    last = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], Mapping) else {}
    why, queue = last.get("reason", "none given"), str(last.get("queue", DEAD))
    reason = Reason.EXPIRED if why == "expired" else Reason.DROPPED_BY_BROKER
    return DeadLetter.of(message, queue=queue, broker=broker, reason=reason, detail=f"RabbitMQ's reason: {why}")


PLAIN = frozenset({str, int, float, bool, type(None)})


def is_deep(value: Any) -> bool:
    """Tell whether a value of JSON has more than ``DEEPEST`` levels.

    Most of it is plain values, and to ask each whether it is a ``Mapping`` took 13 µs of a message's time.
    """
    level = [value]
    for _ in range(DEEPEST):
        tables = [each if type(each) is list else each.values() for each in level if each]
        nested = [each for table in tables for each in table if type(each) not in PLAIN]
        level = [each for each in nested if type(each) in (dict, list) or isinstance(each, Mapping | list)]
        if not level:
            return False
    return True


def as_bytes(body: Any) -> bytes:
    """Return a message's body as bytes; one that is neither text nor bytes as JSON."""
    if isinstance(body, str):
        return body.encode(errors="surrogatepass")
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    return json.dumps(body, default=plain).encode()


def plain(value: Any) -> Any:
    """Return what JSON has no form for as text: bytes, times and decimal numbers in the headers of RabbitMQ."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode(errors="backslashreplace")
    return str(value)
