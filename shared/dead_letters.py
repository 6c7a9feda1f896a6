"""Dead letters: messages that were taken out of circulation, kept whole with the reason.

They stay on the broker that they came from: on Redis in the list ``fleet.dead``, on RabbitMQ in the durable queue
``fleet.dead``.  Both hold the same JSON objects; see ``DeadLetter`` for their fields.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
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


class Reason(StrEnum):
    """Why a message was taken out."""

    UNDECODABLE = "undecodable"
    """Its bytes could not be turned into values: broken JSON, an unknown compression, a forbidden content type."""
    UNKNOWN_TASK = "unknown task"
    """The worker has no task of that name."""
    BAD_MESSAGE = "bad message"
    """Its values are not those of a task: no id, no arguments, a time limit that is no number."""
    POISON = "poison"
    """Its task took the process with it as often as the queue table allows."""
    REFUSED = "refused"
    """It had waited for its time, and its broker did not take it then, as often as it was tried."""
    DROPPED_BY_BROKER = "dropped by the broker"
    """RabbitMQ itself took it out, after too many deliveries or at the end of its lifetime; the headers say more."""


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
    at: float = field(default_factory=time.time)
    """When it was taken out, in seconds since the epoch."""
    headers: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    body: bytes

    @classmethod
    def of(cls, message: Any, *, queue: str, broker: str, reason: Reason, detail: str) -> Self:
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
        return json.dumps({**asdict(self), "body": body, "body_encoding": encoding}, default=plain).encode()

    @classmethod
    def loads(cls, kept: bytes | str) -> Self:
        """Return a dead letter from what is kept; what is none comes as an undecodable one."""
        try:
            fields = json.loads(kept)
            body, encoding = fields.pop("body"), fields.pop("body_encoding")
            content = base64.b64decode(body) if encoding == "base64" else body.encode()
            return cls(**{**fields, "reason": Reason(fields["reason"]), "body": content})
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            detail = f"It lay among the dead letters and is none: {type(error).__name__}"
            return cls(queue=DEAD, reason=Reason.UNDECODABLE, detail=detail, body=as_bytes(kept))


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
            yield _read(channel.message_to_python(message), broker)


def _read(message: Any, broker: str) -> DeadLetter:
    if message.content_type == CONTENT_TYPE:
        return DeadLetter.loads(message.body)
    deaths = message.headers.get("x-death") or [{}]
    detail = f"RabbitMQ's reason: {deaths[0].get('reason', 'none given')}"
    queue = str(deaths[0].get("queue", DEAD))
    return DeadLetter.of(message, queue=queue, broker=broker, reason=Reason.DROPPED_BY_BROKER, detail=detail)


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
