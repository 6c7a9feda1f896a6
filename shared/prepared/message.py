"""What the messages of one kind of call have in common, and what each has of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kombu import Queue

from shared.brokers import Broker
from shared.retry_policies import RetryPolicy

OWN_HEADERS = frozenset(
    {"id", "root_id", "parent_id", "group", "group_index", "argsrepr", "kwargsrepr", "published_at"}
)
"""Headers in which the messages of one kind differ."""
OWN_PROPERTIES = frozenset({"correlation_id", "reply_to", "timestamp"})


class Filled(NamedTuple):
    """What one message has of its own."""

    body: str
    """JSON, in ASCII."""
    id: str
    root_id: str
    parent_id: str | None
    group: str | None
    group_index: int | None
    argsrepr: str
    kwargsrepr: str
    published_at: float
    reply_to: str

    def headers(self) -> dict[str, Any]:
        """Return the headers in which it differs from others."""
        return {name: getattr(self, name) for name in OWN_HEADERS}


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What all messages of one kind of call have in common."""

    task: str
    broker: Broker
    queue: str
    """Its name, for counts and events."""
    exchange: str
    routing_key: str
    mandatory: bool
    declare: tuple[tuple[int, Queue], ...]
    """The queues that must exist, each with the hash by which kombu knows whether it was declared."""
    content_type: str
    content_encoding: str
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    """``delivery_mode`` and ``priority``."""
    timestamped: bool
    """Whether each message bears its time in a property as well."""
    policy: RetryPolicy
    show: Callable[[Any], str]
    """How arguments are shown to people."""
    sent_event: Mapping[str, Any] | None
    """What monitors are told of every message, if they are told."""


class Wired(NamedTuple):
    """A message as its broker takes it."""

    prepared: Prepared
    id: str
    content: Any
    """For Redis what lies in the list; for RabbitMQ the properties and the body."""
    size: int
    """In bytes, roughly."""
