"""How many messages each queue holds, asked of the brokers themselves.

Celery's events and the workers' own counts may be lost or late; a broker knows.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import redis
from amqp.exceptions import NotFound
from kombu import Connection

from shared.brokers import Broker, BrokerKind, Brokers
from shared.priorities import LEAST_URGENT, MOST_URGENT
from shared.queues import QueueSpec
from shared.secret import SecretStr
from shared.transports.claims import DEAD, HELD
from shared.transports.redis import Channel

logger = logging.getLogger(__name__)

ANSWER_WITHIN_SECONDS = 3.0
Answer = TypeVar("Answer")
PRIORITIES = range(LEAST_URGENT, MOST_URGENT + 1)

NEXT_OF_LISTS = """
local answer = {}
for i = 1, #KEYS do
  local message = redis.call('LINDEX', KEYS[i], -1) or ''
  local published = string.match(message, '"published_at": ?([%d.e+]+)') or ''
  local eta = string.match(message, '"eta": ?"([^"]+)"') or ''
  answer[i] = {published, eta}
end
return answer
"""
"""Reads when the next message of each list was published and is due, on the server: it may be large.

The body before the headers is base64, and a quote inside a header is escaped, so that neither can look like these.
"""


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
    consumers: int | None = None
    """Consumers of the queue; RabbitMQ alone knows them."""
    oldest_seconds: float | None = None
    """How long the ready message has waited that has waited longest: since it was published, or since it was due.

    Of each priority, the message that goes out next is looked at.  RabbitMQ tells through its management API, of the
    most urgent priority alone, and never for quorum queues; ``None`` where nobody can say.
    """


class Measured(NamedTuple):
    """What a broker said."""

    queues: list[QueueDepth]
    """Every queue that exists."""
    dead: int | None
    """Dead letters that lie there; ``None`` when it could not say."""


class BrokerDepths(Protocol):
    """Measures the queues of one broker."""

    alias: str

    def look(self) -> Measured | None:
        """Return the depth of every queue and the dead letters, or ``None`` when the broker could not be asked."""
        ...

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

    def look(self) -> Measured | None:
        """Return the depth of every queue and the dead letters, or ``None`` when the broker could not be asked."""
        return _unless_out_of_reach(self.alias, self._look, redis.RedisError, OSError)

    def measure(self) -> list[QueueDepth] | None:
        """Return the depth of every queue, or ``None`` when the broker could not be asked."""
        measured = self.look()
        return None if measured is None else measured.queues

    def _look(self) -> Measured:
        pipeline = self._client.pipeline(transaction=False)
        lists = [list_of(queue, priority) for queue in self._queues for priority in PRIORITIES]
        for name in lists:
            pipeline.llen(name)
        pipeline.llen(DEAD)
        *lengths, dead = pipeline.execute()
        waiting = dict(zip(lists, lengths, strict=True))
        held = self._held()
        ages = self._ages([name for name, length in waiting.items() if length])
        depths = []
        for queue in self._queues:
            names = {priority: list_of(queue, priority) for priority in PRIORITIES}
            by_priority = {priority: waiting[name] for priority, name in names.items()}
            oldest = max((ages.get(name, 0.0) for name in names.values()), default=0.0)
            ready = sum(by_priority.values())
            depths.append(QueueDepth(queue, ready, held[queue], by_priority, oldest_seconds=oldest))
        return Measured(depths, dead)

    def _ages(self, lists: Sequence[str]) -> dict[str, float]:
        """Return how long the message has waited that goes out next of each list."""
        if not lists:
            return {}
        found: Any = self._client.eval_ro(NEXT_OF_LISTS, len(lists), *lists)
        now = time.time()
        due = {name: due_at(published, eta) for name, (published, eta) in zip(lists, found, strict=True)}
        return {name: max(0.0, now - since) for name, since in due.items() if since is not None}

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
        measured = self.look()
        return None if measured is None else measured.queues

    def look(self) -> Measured | None:
        """Return the depth of every queue that exists and the dead letters, or ``None`` when it could not be asked."""
        connection = Connection(
            self._broker.url.get_secret_value(),
            connect_timeout=ANSWER_WITHIN_SECONDS,
            transport_options={"read_timeout": ANSWER_WITHIN_SECONDS, "write_timeout": ANSWER_WITHIN_SECONDS},
        )
        with connection:
            errors = (*connection.connection_errors, *connection.channel_errors)
            return _unless_out_of_reach(self.alias, lambda: self._look(connection), *errors)

    def _look(self, connection: Connection) -> Measured:
        declared = {queue: found for queue in self._queues if (found := _declared(connection, queue)) is not None}
        dead = _declared(connection, DEAD)
        reported = self._reported()
        return Measured(
            [_depth(queue, found, reported.get(queue, {})) for queue, found in declared.items()],
            0 if dead is None else dead.message_count,
        )

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


def due_at(published: bytes, eta: bytes) -> float | None:
    """Return since when a message waits, in seconds since the epoch; ``None`` if nobody said when it was published."""
    try:
        since = float(published)
    except ValueError:
        return None
    with suppress(ValueError):
        since = max(since, datetime.fromisoformat(eta.decode()).timestamp())
    return since


def list_of(queue: str, priority: int) -> str:
    """Return the key of the Redis list with the messages of a queue of one priority."""
    return f"{queue}{Channel.sep}{priority}" if priority else queue


def _declared(connection: Connection, queue: str) -> Any:
    """Return what the broker says of a queue: ``message_count`` ready ones, ``consumer_count``."""
    try:
        with connection.channel() as channel:
            return channel.queue_declare(queue, passive=True)
    except NotFound:
        return None


def _depth(queue: str, found: Any, reported: Mapping[str, Any]) -> QueueDepth:
    since, ready = reported.get("head_message_timestamp"), int(found.message_count)
    waited = max(0.0, time.time() - since) if isinstance(since, int | float) else None
    return QueueDepth(
        queue,
        ready,
        reported.get("messages_unacknowledged"),
        _priority_lengths(reported, ready),
        consumers=int(found.consumer_count),
        oldest_seconds=waited if ready else 0.0,
    )


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
