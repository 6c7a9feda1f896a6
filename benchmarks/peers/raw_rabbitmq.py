"""py-amqp as bare as it gets: the limit that a queue on RabbitMQ has in Python."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from amqp import Message

from benchmarks.peers.confirmed import Confirmed, connection_to
from benchmarks.peers.counting import broker_url, count

QUEUE = "bench.raw"
PAYLOAD = json.dumps({"text": "x" * 1000})
AT_ONCE = 500
PREFETCH = 64

HEADERS: dict[str, Any] = {
    **dict.fromkeys(("lang", "task", "argsrepr", "kwargsrepr", "origin"), "somewhat-short"),
    **dict.fromkeys(("id", "root_id"), "0" * 36),
    **dict.fromkeys(("shadow", "eta", "expires", "group", "group_index", "parent_id", "stamped_headers")),
    **dict.fromkeys(("retries", "replaced_task_nesting", "message_version", "ignore_result"), 1),
    "timelimit": [None, None],
    "stamps": {},
    "published_at": 1.5,
}
"""Those of a task; RabbitMQ reads them, and takes its time for that."""


@cache
def broker() -> Confirmed:
    """Return the channel of this process."""
    return Confirmed(broker_url(), QUEUE).__enter__()


def publish(number: int) -> None:
    """Publish so many messages, each confirmed before the next."""
    message = Message(PAYLOAD, delivery_mode=2)
    for _ in range(number):
        broker().publish([message])


def publish_many(number: int) -> None:
    """Publish so many messages, with one wait for the confirms of some hundred."""
    _publish_many(Message(PAYLOAD, delivery_mode=2), number)


def publish_many_with_headers(number: int) -> None:
    """Publish so many messages that have the headers of tasks, with one wait for the confirms of some hundred."""
    _publish_many(Message("x" * 90, delivery_mode=2, correlation_id="0" * 36, application_headers=HEADERS), number)


def _publish_many(message: Message, number: int) -> None:
    for start in range(0, number, AT_ONCE):
        broker().publish([message] * min(AT_ONCE, number - start))


def main() -> None:
    """Take messages, decode them, count and acknowledge, for good."""
    with connection_to(broker_url()) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        channel.basic_qos(0, PREFETCH, False)

        def take(message: Any) -> None:
            json.loads(message.body)
            count()
            channel.basic_ack(message.delivery_tag)

        channel.basic_consume(QUEUE, callback=take)
        while True:
            connection.drain_events()


if __name__ == "__main__":
    main()
