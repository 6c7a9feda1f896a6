"""Pools of producers, one for each broker, that make nobody wait without end."""

from __future__ import annotations

import os
from contextlib import suppress
from queue import Empty
from threading import Lock
from typing import TYPE_CHECKING, Any

from kombu import Connection
from kombu.connection import ConnectionPool
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.pools import ProducerPool

from shared.brokers import Broker
from shared.deadlines import at_most, time_left
from shared.handover import HAND_OVER_WITHIN_SECONDS
from shared.producers import FleetProducer, PublishFailed

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery


class BoundedProducerPool(ProducerPool):
    """A pool that waits for a free producer no longer than a publish may take."""

    def __init__(self, broker: Broker, connections: Any, limit: int | None) -> None:
        self._broker = broker
        super().__init__(connections=connections, limit=limit, Producer=FleetProducer)

    def acquire(self, block: bool = False, timeout: float | None = None) -> Any:
        """Take a producer out of the pool.

        Raises:
            PublishFailed: All are in use, or all of their connections are.  Nothing was sent.
        """
        try:
            with at_most(timeout or HAND_OVER_WITHIN_SECONDS):
                producer = super().acquire(block, time_left())
        except (LimitExceeded, TimeoutError) as error:
            in_use = OperationalError(f"all {self.limit} connections are in use (broker_pool_limit)")
            raise PublishFailed.by(str(self._broker), in_use, "no") from error
        producer.broker = self._broker
        return producer

    @property
    def has_plenty(self) -> bool:
        """Whether at most half of its producers are in use, so that one may be kept for a while."""
        return not self.limit or 2 * len(self._dirty) <= self.limit

    def _acquire_connection(self) -> Any:
        """Take a connection for a producer; whoever has them all may be stuck."""
        return self.connections.acquire(block=True, timeout=time_left())

    def _add_when_empty(self) -> None:
        """Make a producer where there is none to wait for, unless the time is over: kombu waits anew for that one."""
        time_left()
        super()._add_when_empty()


class DroppableConnectionPool(ConnectionPool):
    """A pool whose idle connections can be dropped."""

    def drop_idle(self) -> None:
        """Drop the connections that nobody uses now, without a word to the server."""
        idle = []
        with suppress(Empty):
            while True:
                idle.append(self._resource.get_nowait())
        for connection in idle:
            if isinstance(connection, Connection):
                connection.collect()
            self._resource.put_nowait(connection)


class ProducerPools:
    """A pool of producers for each broker; safe to use from threads and after a fork.

    A child process starts with empty pools: the sockets of its parent are left alone and kept open, because
    closing them would end the parent's connections too.
    """

    def __init__(self, app: FleetCelery) -> None:
        self._app = app
        self._lock = Lock()
        self._pools: dict[str, ProducerPool] = {}
        self._pid = os.getpid()
        self._of_parents: list[dict[str, ProducerPool]] = []

    def __getitem__(self, broker: Broker) -> ProducerPool:
        """Return the pool of a broker, made at its first use; opens no connection."""
        if self._pid != os.getpid():
            self.start_afresh()
        try:
            return self._pools[broker.alias]
        except KeyError:
            with self._lock:
                return self._pools.setdefault(broker.alias, self._create(broker))

    def start_afresh(self) -> None:
        """Forget the pools of the process that this one was forked from."""
        self._lock = Lock()
        self._of_parents.append(self._pools)
        self._pools = {}
        self._pid = os.getpid()

    def drop_idle(self) -> None:
        """Drop the connections that nobody uses now; they are made anew when they are needed."""
        for pool in tuple(self._pools.values()):
            pool.connections.drop_idle()

    def close(self) -> None:
        """Close every connection of this process's pools; a publish that is under way in a thread fails."""
        if self._pid != os.getpid():
            self.start_afresh()
        for pool in self._pools.values():
            pool.force_close_all()
            pool.connections.force_close_all()
        self._pools = {}

    def _create(self, broker: Broker) -> ProducerPool:
        limit = self._app.conf.broker_pool_limit
        connection = self._app.connection_for_write(broker.url.get_secret_value())
        return BoundedProducerPool(broker, DroppableConnectionPool(connection, limit), limit)
