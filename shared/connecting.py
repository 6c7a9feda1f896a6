"""The connections and producers of an app that publishes to many brokers."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from sys import _getframe
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from celery import Celery
from celery.canvas import group
from kombu import Connection
from kombu.pools import ProducerPool

from shared.brokers import Broker, Brokers, kind_of
from shared.bulk import bulk, bulk_under_way
from shared.configuration import FIXED_TRANSPORT_OPTIONS, TRANSPORT_OPTIONS, TRANSPORTS
from shared.delays.producer import DelayingProducer
from shared.errors import ConfigurationError, InvalidTable
from shared.publishing import broker_of_publication, delay_of_publication, place_of, publication, queue_of_publication

if TYPE_CHECKING:
    from shared.routing import RoutingTable
    from shared.testing.recording import Recorder

PUBLISHES_MEMBERS = group._apply_tasks.__code__  # noqa: SLF001
"""Where Celery publishes the members of groups and of headers of chords; nothing else tells it from other callers."""


class ConnectingCelery(Celery):
    """A Celery app whose connections and producers are those of the broker that is published to."""

    if TYPE_CHECKING:
        home: str
        recorder: Recorder | None
        routing: RoutingTable
        _brokers: Brokers | Callable[[], Brokers]
        _joined: Broker | None

    @cached_property
    def brokers(self) -> Brokers:
        """The brokers of the fleet, by alias.

        Raises:
            InvalidTable: A queue or ``home`` names a broker that is not among them.
        """
        brokers = self._brokers() if callable(self._brokers) else self._brokers
        for alias in {self.home, *self.routing.owners.values()} - set(brokers):
            raise InvalidTable(f"The tables name broker {alias!r}, which the fleet does not have.")
        return brokers

    @property
    def broker(self) -> Broker:
        """The broker that this process belongs to: a worker's is the one that owns its queues."""
        return self._joined or self.brokers.find(self.conf.broker_url)

    @property
    def joined(self) -> Broker | None:
        """The broker that this process joined as a worker of its queues; ``None`` where it is no worker."""
        return self._joined

    def join(self, queues: Iterable[str]) -> None:
        """Make this process belong to the broker that owns the given queues, as a worker of them does.

        Raises:
            UnknownQueue: A queue is not in the table.
            MixedBrokers: The queues belong to more than one broker.
        """
        self._joined = self.brokers[self.routing.the_one_broker(queues)]

    def on_broker(self, alias_or_url: str) -> Any:
        """Send remote control commands to the workers of one broker alone, for the length of a ``with`` block.

        Raises:
            UnknownBroker: The fleet has no such broker.
        """
        return publication(self.brokers.find(alias_or_url))

    def producer_or_acquire(self, producer: Any = None) -> Any:
        """Return a context with the given producer, or one of the right broker where it is of another.

        The members of a group are published inside of it, and go out in bulk.
        """
        broker = broker_of_publication()
        if self.recorder is not None:
            return self.recorder.producer(broker or self.broker)
        if producer is None and (caller := _getframe(1)).f_code is PUBLISHES_MEMBERS:
            return self._in_bulk(caller.f_locals["self"])
        if broker is not None and (delay := delay_of_publication()):
            return nullcontext(DelayingProducer(self, broker, str(queue_of_publication()), delay))
        if broker is not None and (batch := bulk_under_way()):
            return nullcontext(batch.producer(self, broker))
        if producer is not None and broker is not None and place_of(producer.connection) != broker.place:
            producer = None
        return super().producer_or_acquire(producer)

    @contextmanager
    def _in_bulk(self, members: group) -> Iterator[Any]:
        are_there = type(members.tasks) in (list, tuple)  # what reads a generator is of a type below list
        outermost = bulk_under_way() is None
        with bulk() as batch:
            if outermost and not are_there:
                batch.send_the_next_at_once()
            yield batch.producer(self, self.broker)

    def connection(self, hostname: str | None = None, **options: Any) -> Connection:
        """Return a lazy connection to a broker, by alias or URL; to the app's own by default."""
        return self.connection_for_write(hostname, **options)

    def connection_for_read(self, url: str | None = None, **options: Any) -> Connection:
        """Return a lazy connection to a broker, by alias or URL; to the app's own by default."""
        return self._connection(url or self.broker.url.get_secret_value(), **options)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Connection:
        """Return a lazy connection to a broker, by alias or URL; to that of the publish under way by default."""
        broker = broker_of_publication() or self.broker
        return self._connection(url or broker.url.get_secret_value(), **options)

    @property
    def pool(self) -> Any:
        """The connection pool of the broker that is written to now."""
        self._ensure_after_fork()
        producers: ProducerPool = self.amqp.producer_pool
        return producers.connections

    def _connection(self, url: Any, **options: Any) -> Connection:
        if url in self.brokers:
            url = self.brokers[url].url.get_secret_value()
        kind = kind_of(url) if isinstance(url, str) else None
        if kind:
            given = {**self.conf.broker_transport_options, **(options.get("transport_options") or {})}
            refuse_fixed(given)
            options["transport"] = options.get("transport") or TRANSPORTS[urlsplit(url).scheme]
            options["transport_options"] = {**TRANSPORT_OPTIONS[kind], **given}
            if verifies_by_default(url) and not (options.get("ssl") or self.conf.broker_use_ssl):
                options["ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
        return super()._connection(url, **options)


def refuse_fixed(transport_options: Mapping[str, Any]) -> None:
    """Refuse transport options on which everybody must agree, for messages would lie where nobody looks.

    Publisher confirms can't be switched off either: without them a publish that returned may be lost.

    Raises:
        ConfigurationError: One of them is set.
    """
    fixed = sorted(FIXED_TRANSPORT_OPTIONS & transport_options.keys())
    if fixed:
        raise ConfigurationError(f"A fleet sets these transport options itself: {', '.join(fixed)}; leave them out.")
    if not transport_options.get("confirm_publish", True):
        raise ConfigurationError("A fleet's publishes are always confirmed; leave out confirm_publish.")


def verifies_by_default(url: str) -> bool:
    """Tell whether a URL asks for Redis over TLS and does not say how certificates are checked.

    kombu would not check them at all then.
    """
    parts = urlsplit(url)
    return parts.scheme == "rediss" and "ssl_" not in parts.query
