"""How many messages each queue holds, asked of the brokers themselves.

Celery's events and the workers' own counts may be lost or late; a broker knows.
"""

from __future__ import annotations

import json
import logging
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import redis
from amqp.exceptions import NotFound
from kombu import Connection
from pydantic import SecretStr

from shared.brokers import Broker, BrokerKind, Brokers
from shared.priorities import LEAST_URGENT, MOST_URGENT
from shared.queues import QueueSpec
from shared.transports.claims import HELD
from shared.transports.redis import Channel

logger = logging.getLogger(__name__)

ANSWER_WITHIN_SECONDS = 3.0
Answer = TypeVar("Answer")
PRIORITIES = range(LEAST_URGENT, MOST_URGENT + 1)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The depth of one queue."""

    queue: str
    ready: int
    """Messages that no worker holds."""
    unacknowledged: int | None
    """Messages that workers hold; ``None`` when the broker could not say."""
    by_priority: Mapping[int, int] = field(default_factory=dict)
    """Ready messages by priority, where the broker can say: Redis, and RabbitMQ before 4.0."""


class BrokerDepths(Protocol):
    """Measures the queues of one broker."""

    alias: str

    def measure(self) -> list[QueueDepth] | None:
        """Return the depth of every queue, or ``None`` when the broker could not be asked."""
        ...


class RedisDepths:
    """Counts the lists of each priority, and the claims of workers."""

    def __init__(self, broker: Broker, queues: Sequence[str]) -> None:
        self.alias = broker.alias
        self._queues = queues
        self._client = redis.Redis.from_url(
            broker.url.get_secret_value(),
            socket_timeout=ANSWER_WITHIN_SECONDS,
            socket_connect_timeout=ANSWER_WITHIN_SECONDS,
        )

    def measure(self) -> list[QueueDepth] | None:
        """Return the depth of every queue, or ``None`` when the broker could not be asked."""
        return _unless_out_of_reach(self.alias, self._measure, redis.RedisError, OSError)

    def _measure(self) -> list[QueueDepth]:
        pipeline = self._client.pipeline(transaction=False)
        for queue in self._queues:
            for priority in PRIORITIES:
                pipeline.llen(f"{queue}{Channel.sep}{priority}" if priority else queue)
        lengths = iter(pipeline.execute())
        held = self._held()
        depths = []
        for queue in self._queues:
            by_priority = dict(zip(PRIORITIES, lengths, strict=False))
            depths.append(QueueDepth(queue, sum(by_priority.values()), held[queue], by_priority))
        return depths

    def _held(self) -> Counter[str]:
        # A scan may give an entry twice, hence by delivery tag.
        queues = {claim: _queue_of(entry) for claim, entry in self._client.hscan_iter(HELD, count=500)}
        return Counter(queues.values())


class RabbitMQDepths:
    """Asks for ready messages over AMQP, which is exact, and for the others over the management API."""

    def __init__(self, broker: Broker, queues: Sequence[str]) -> None:
        self.alias = broker.alias
        self._broker = broker
        self._queues = queues

    def measure(self) -> list[QueueDepth] | None:
        """Return the depth of every queue that exists, or ``None`` when the broker could not be asked."""
        connection = Connection(
            self._broker.url.get_secret_value(),
            connect_timeout=ANSWER_WITHIN_SECONDS,
            transport_options={"read_timeout": ANSWER_WITHIN_SECONDS, "write_timeout": ANSWER_WITHIN_SECONDS},
        )
        with connection:
            errors = (*connection.connection_errors, *connection.channel_errors)
            return _unless_out_of_reach(self.alias, lambda: self._measure(connection), *errors)

    def _measure(self, connection: Connection) -> list[QueueDepth]:
        ready = {queue: count for queue in self._queues if (count := _ready(connection, queue)) is not None}
        reported = self._reported()
        return [
            QueueDepth(
                queue,
                count,
                reported.get(queue, {}).get("messages_unacknowledged"),
                _priority_lengths(reported.get(queue, {}), count),
            )
            for queue, count in ready.items()
        ]

    def _reported(self) -> dict[str, dict[str, Any]]:
        management = self._broker.management_url
        if management is None:
            return {}
        try:
            answer = _get_json(management, f"/api/queues/{quote(self._broker.place.vhost, safe='')}")
        except (OSError, ValueError, HTTPException) as error:
            logger.warning("The management API of broker %s does not answer: %s", self.alias, type(error).__name__)
            return {}
        return {queue["name"]: queue for queue in answer}


def measured_by(brokers: Brokers, queues: Iterable[QueueSpec]) -> list[BrokerDepths]:
    """Return what measures each broker's queues of a table."""
    kinds: dict[BrokerKind, type[RedisDepths | RabbitMQDepths]] = {
        BrokerKind.REDIS: RedisDepths,
        BrokerKind.RABBITMQ: RabbitMQDepths,
    }
    specs = tuple(queues)
    return [
        kinds[broker.kind](broker, [spec.name for spec in specs if spec.broker == alias])
        for alias, broker in brokers.items()
    ]


def _queue_of(entry: bytes) -> str:
    source = entry.partition(b"\n")[0].decode(errors="replace")
    return source.rsplit(Channel.sep, 1)[0]


def _ready(connection: Connection, queue: str) -> int | None:
    try:
        with connection.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)
    except NotFound:
        return None


def _priority_lengths(reported: Mapping[str, Any], ready: int) -> dict[int, int]:
    """Return ready messages by priority, unless the report, which is up to 5 s old, is not of this moment."""
    lengths = reported.get("backing_queue_status", {}).get("priority_lengths", {})
    by_priority = {int(priority): int(count) for priority, count in lengths.items()}
    return by_priority if sum(by_priority.values()) == ready else {}


def _get_json(url: SecretStr, path: str) -> Any:
    parts = urlsplit(url.get_secret_value())
    host = parts.netloc.rpartition("@")[2]
    passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
    address = urlunsplit((parts.scheme, host, f"{parts.path.rstrip('/')}{path}", "", ""))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    passwords.add_password(None, address, user, password, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    with opener.open(address, timeout=ANSWER_WITHIN_SECONDS) as answer:
        return json.load(answer)


def _unless_out_of_reach(alias: str, ask: Callable[[], Answer], *errors: type[Exception]) -> Answer | None:
    try:
        return ask()
    except errors as error:
        logger.warning("Broker %s can't be asked for its depths: %s", alias, type(error).__name__)
        return None
