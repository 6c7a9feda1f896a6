"""How the dead letter of a failure is kept: in the place of its message, or beside; and how many a broker takes.

A broker that has as many letters as it may (``MOST_LETTERS``) gets no more failures; they are counted in shared state
instead.  Messages that no worker can run are kept there all the same: they have no other record.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import redis
from kombu.serialization import dumps

from shared.brokers import Broker, BrokerKind
from shared.dead_letters import DeadLetter, Reason, as_bytes, bury, keep
from shared.deadlines import at_most
from shared.producers import PublishFailed
from shared.transports.claims import DEAD

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

MOST_LETTERS = 100_000
"""Of one broker; where a relay collects them there are hardly ever any."""
LEFT_OUT = "fleet.dead.left_out"
"""A hash in shared state: alias of a broker → how many failures were not kept there."""
COUNT_WITHIN_SECONDS = 2.0
COUNTED_FOR_SECONDS = 1.0
"""How long an answer of a broker counts: each question holds up the loop, and failures come many at a time."""

_counted: WeakKeyDictionary[Any, dict[str, tuple[float, int]]] = WeakKeyDictionary()

EMBEDDED = ("callbacks", "errbacks", "chain", "chord")
OF_THE_EXECUTION = frozenset(
    {
        *EMBEDDED, "args", "kwargs", "acknowledged", "called_directly", "correlation_id", "delivery_info", "execution",
        "headers", "hostname", "in_hand", "is_eager", "logfile", "loglevel", "properties", "reply_to", "taskset",
    }
)  # fmt: skip
"""What a request knows beyond the headers of its message."""


def is_wanted(app: FleetCelery, task: Any, queue: str) -> bool:
    """Tell whether failures of a task are kept: the task says so, else its queue, else they are."""
    of_task = getattr(task, "keep_failures", None)
    if of_task is not None:
        return bool(of_task)
    spec = app.queue_table.get(queue)
    return spec is None or spec.keep_failures


def keep_instead(
    app: FleetCelery, message: Any, letter: DeadLetter, broken: tuple[type[BaseException], ...] = ()
) -> None:
    """Keep the dead letter of a failure in the place of a message that this worker holds.

    Where there are too many, the broker refuses the letter, or it can't be written down (headers may be nested too
    deeply), the message is acknowledged without one: the failure is stored as the result of the task.

    Args:
        app: The fleet.
        message: The message.
        letter: What is kept of it.
        broken: Errors that mean that the connection broke.

    Raises:
        Exception: The connection to the broker broke; the message is still held then.
    """
    try:
        if not is_full(app, app.broker):
            bury(app, message, letter)
            return
        why = f"broker {app.broker.alias} has {MOST_LETTERS} dead letters"
    except PublishFailed as error:
        why = str(error)
    except broken:
        raise
    except Exception as error:  # noqa: BLE001 - raised on, it would end the worker, at each delivery anew
        why = f"{type(error).__name__}: {error}"
    leave_out(app, app.broker, letter, why)
    type(message).ack(message)


def keep_beside(app: FleetCelery, broker: Broker, letter: DeadLetter) -> None:
    """Keep the dead letter of a failure whose message the broker has forgotten already; never raises."""
    try:
        if not is_full(app, broker):
            keep(app, broker, letter)
            return
        why = f"broker {broker.alias} has {MOST_LETTERS} dead letters"
    except Exception as error:  # noqa: BLE001 - whatever a driver raises: the failure itself is recorded
        why = f"{type(error).__name__}: {error}"
    leave_out(app, broker, letter, why)


def is_full(app: FleetCelery, broker: Broker, most: int = MOST_LETTERS) -> bool:
    """Tell whether a broker has as many dead letters as it may, or had a second ago; one that does not say has not."""
    counted = _counted.setdefault(app, {})
    at, count = counted.get(broker.alias, (-COUNTED_FOR_SECONDS, 0))
    if monotonic() - at >= COUNTED_FOR_SECONDS:
        count = count_letters(app, broker)
        counted[broker.alias] = monotonic(), count
    return count >= most


def count_letters(app: FleetCelery, broker: Broker) -> int:
    """Ask a broker for the number of its dead letters; one that does not say has none.

    It never raises: a connection that broke while it lay idle in the pool is no reason to keep nothing.
    """
    try:
        with at_most(COUNT_WITHIN_SECONDS), app.amqp.pools[broker].acquire(block=True) as producer:
            if broker.kind is BrokerKind.REDIS:
                with producer.channel.conn_or_acquire() as client:
                    return int(client.llen(DEAD))
            declared = producer.channel.queue_declare(queue=DEAD, durable=True, auto_delete=False)
            return int(declared.message_count)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises
        logger.debug("The dead letters of broker %s can't be counted: %r", broker.alias, error)
        return 0


def leave_out(app: FleetCelery, broker: Broker, letter: DeadLetter, why: str) -> None:
    """Log and count the dead letter of a failure that is not kept."""
    logger.error("The message of task %s[%s] is not kept as a dead letter: %s", letter.task, letter.id, why)
    if app.state.configured:
        with suppress(redis.RedisError, OSError):
            app.state.client.hincrby(LEFT_OUT, broker.alias, 1)


def left_out(app: FleetCelery) -> dict[str, int]:
    """Count the failures that were not kept, by alias of their broker.

    Raises:
        redis.RedisError, OSError: Shared state does not answer.
    """
    if not app.state.configured:
        return {}
    counts: Any = app.state.client.hgetall(LEFT_OUT)
    return {alias.decode(): int(count) for alias, count in counts.items()}


def letter_of_lost(app: FleetCelery, kept: Mapping[str, Any], detail: str) -> DeadLetter:
    """Return the dead letter of work that a dead worker had acknowledged, from what was kept of its request."""
    request = kept["request"]
    queue, _ = app.amqp.origin(request.get("delivery_info") or {})
    embedded = {name: request.get(name) for name in EMBEDDED}
    body = b""
    if "args" in request:
        body = as_bytes(dumps((request["args"], request["kwargs"], embedded), serializer="json")[2])
    return DeadLetter(
        id=request.get("id"),
        task=request.get("task"),
        queue=queue,
        broker=kept["broker"],
        reason=Reason.LOST,
        detail=detail,
        headers={name: value for name, value in request.items() if name not in OF_THE_EXECUTION},
        properties=request.get("properties"),
        content_type="application/json",
        content_encoding="utf-8",
        body=body,
    )
