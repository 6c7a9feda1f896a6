"""Replays of dead letters: the message as it was, under the same task id, so that its workflow goes on with it.

Callbacks, the rest of a chain, the chord and the stamps stand in the message, and go with it unchanged.  What counted
its tries begins anew: retries, deaths, the failure that is stored.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from celery import states
from celery.backends.base import DisabledBackend
from kombu.exceptions import KombuError
from kombu.serialization import dumps, loads

from shared.brokers import Broker, BrokerKind
from shared.chords.reopening import reopen
from shared.dead_letters import REPLAY_HEADER, DeadLetter, Reason, as_bytes
from shared.delays.producer import WAITED_HEADER
from shared.errors import PublishError, ResultUnavailable
from shared.handover import hand_over
from shared.limits import PUT_OFF_HEADER
from shared.priorities import MOST_URGENT, Priority
from shared.publishing import PUBLISHED_AT_HEADER
from shared.transports.once import MARKER, once
from shared.worker.poison import key as deaths_key

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

SERIALIZERS = {"application/json": "json", "application/x-yaml": "yaml", "application/x-msgpack": "msgpack"}
LEFT_BEHIND = (WAITED_HEADER, PUT_OFF_HEADER, "compression", "eta", "expires")
"""Headers of the way that the message has gone, and of times that are over."""
KEPT_PROPERTIES = ("reply_to", "correlation_id", "priority")


class NotReplayable(PublishError):
    """A dead letter can't be published again, or not with these arguments; nothing was sent."""


def why_not(letter: DeadLetter) -> str | None:
    """Say why a dead letter can't be published again; ``None`` when it can."""
    if letter.reason is Reason.UNDECODABLE:
        return "its bytes can't be decoded, so no worker could run it"
    if not letter.id or not letter.task:
        return "it names no task, or has no task id"
    if not letter.header("id"):
        return "its message has no header `id`, by which a worker would know the task's id"
    if not letter.body:
        return "its arguments are not JSON, and were not kept"
    return None


def message_of(
    letter: DeadLetter, number: int, now: datetime, *, body: bytes | None = None, expires: timedelta | None = None
) -> dict[str, Any]:
    """Return the message that replays a dead letter, as JSON can say it.

    Args:
        letter: The dead letter.
        number: What it is called in the ledger; the message bears it, and a dead letter of the message will.
        now: The time from which waiting is counted, and which makes it another message than before.
        body: What it says instead of what it said.
        expires: After how long it expires; never by default, for what it had is over.

    Raises:
        NotReplayable: It names no task, or is undecodable.
    """
    if reason := why_not(letter):
        raise NotReplayable(f"Dead letter {number} can't be replayed: {reason}.")
    headers = {
        name: value
        for name, value in (letter.headers or {}).items()
        if name not in LEFT_BEHIND and not name.startswith("x-")
    }
    headers |= {
        "retries": 0,
        "eta": None,
        "expires": (now + expires).astimezone(UTC).isoformat() if expires else None,
        PUBLISHED_AT_HEADER: now.timestamp(),
        REPLAY_HEADER: {"of": number, "times": letter.replays + 1},
    }
    properties = {name: (letter.properties or {}).get(name) for name in KEPT_PROPERTIES}
    return {
        "queue": letter.queue,
        "headers": headers,
        "properties": {**properties, "priority": priority_of(letter)},
        "content_type": letter.content_type,
        "content_encoding": letter.content_encoding,
        "body": base64.b64encode(letter.body if body is None else body).decode(),
    }


def priority_of(letter: DeadLetter) -> int:
    """Return the priority that a message had."""
    priority = (letter.properties or {}).get("priority")
    return priority if isinstance(priority, int) and 0 <= priority <= MOST_URGENT else Priority.NORMAL


def publish_again(app: FleetCelery, message: Mapping[str, Any], name: str) -> None:
    """Publish a replay, with its deaths forgotten and without its stored failure; a chord that failed goes on with it.

    Args:
        app: The fleet.
        message: What ``message_of`` returned.
        name: A name of this replay: on Redis nothing is done a second time under that name, should this be tried again.

    Raises:
        UnknownQueue: The fleet has its queue no more.  Nothing was sent.
        PublishFailed: The broker did not take it in time; ``sent`` says whether it may have arrived.
        redis.RedisError, OSError: Shared state or the result store does not answer.  Nothing was sent.
    """
    broker = app.brokers[app.routing.owner(message["queue"])]
    queue, task_id = app.amqp.queues[message["queue"]], str(message["headers"]["id"])
    identity = f"replay/{name}"
    if _was_published(app, broker, identity):
        return
    if app.state.configured:
        app.state.client.delete(deaths_key(task_id))
    forget_failure(app, task_id)
    reopen(app, message["headers"], what_follows(message))
    with once(identity), hand_over(), app.amqp.pools[broker].acquire(block=True) as producer:
        producer.publish(
            base64.b64decode(message["body"]),
            content_type=message["content_type"],
            content_encoding=message["content_encoding"],
            exchange="",
            routing_key=queue.name,
            delivery_mode=2,
            headers=dict(message["headers"]),
            declare=[queue],
            mandatory=True,
            retry=True,
            retry_policy=app.conf.task_publish_retry_policy,
            **{name: value for name, value in message["properties"].items() if value is not None},
        )


def _was_published(app: FleetCelery, broker: Broker, identity: str) -> bool:
    """Tell whether Redis has had a message of that name, whose task may have ended meanwhile: that end stays.

    RabbitMQ remembers no names.  There the task runs a second time, so that to forget its end does no harm.
    """
    if broker.kind is not BrokerKind.REDIS:
        return False
    with (
        hand_over(),
        app.amqp.pools[broker].acquire(block=True) as producer,
        producer.channel.conn_or_acquire() as client,
    ):
        return bool(client.exists(f"{MARKER}{identity}"))


def what_follows(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what comes after the task of a replay; ``None`` where that can't be read."""
    body, content_type = base64.b64decode(message["body"]), message["content_type"]
    try:
        _, _, embedded = loads(body, content_type, message["content_encoding"], accept=SERIALIZERS)
    except (KombuError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return embedded if isinstance(embedded, Mapping) else None


def forget_failure(app: FleetCelery, task_id: str) -> None:
    """Let a task that failed be pending again; what it is known to have done stays."""
    backend = app.backend
    if isinstance(backend, DisabledBackend):
        return
    with suppress(ResultUnavailable):  # a large result, so it did not fail
        if backend.get_task_meta(task_id, cache=False)["status"] in states.PROPAGATE_STATES:
            backend.forget(task_id)


def arguments_of(letter: DeadLetter) -> tuple[Sequence[Any], Mapping[str, Any], Any]:
    """Return positional arguments, keyword arguments, and what comes after the task.

    Raises:
        NotReplayable: They can't be read.
    """
    content_type = letter.content_type
    try:
        args, kwargs, embedded = loads(letter.body, content_type, letter.content_encoding, accept=SERIALIZERS)
        if isinstance(args, list | tuple) and isinstance(kwargs, Mapping):
            return args, kwargs, embedded
    except (KombuError, ValueError, TypeError, LookupError, RecursionError):
        pass
    raise NotReplayable("Its arguments can't be read.")


def edited_body(letter: DeadLetter, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """Return the body of a dead letter with other arguments; what comes after its task stays.

    Raises:
        NotReplayable: What it has can't be read, so that it can't be told what comes after the task.
    """
    _, _, embedded = arguments_of(letter)
    _, _, content = dumps((list(args), dict(kwargs), embedded), serializer=SERIALIZERS[str(letter.content_type)])
    return as_bytes(content)
