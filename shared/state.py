"""The fleet's shared state: a Redis database beside the brokers, for what all processes must agree on."""

from __future__ import annotations

import os
from collections.abc import Callable

import redis

from shared.errors import ConfigurationError
from shared.redis_scripts import ScriptRunner
from shared.secret import SecretStr

ANSWER_WITHIN_SECONDS = 4.0
"""A publish has five seconds in all; its part of shared state may take no longer than this."""
MOST_CONNECTIONS = 20
"""Of one process; whoever comes when all are in use waits for one, as greenlets do by the hundred."""

StateUrl = SecretStr | Callable[[], SecretStr]


class State:
    """Gives out a client of the state database; safe in threads, and after a fork.

    Args:
        url: ``redis://…``, or a function that returns it when it is first needed; ``None`` for a fleet without one.
        answer_within: Seconds after which a command fails.
    """

    def __init__(self, url: StateUrl | None, answer_within: float = ANSWER_WITHIN_SECONDS) -> None:
        self._url = url
        self._answer_within = answer_within
        self._client: redis.Redis | None = None
        self._scripts: ScriptRunner | None = None
        self._pid = 0

    @property
    def configured(self) -> bool:
        """Whether the fleet has a state database at all."""
        return self._url is not None

    @property
    def client(self) -> redis.Redis:
        """A client, whose commands fail within some seconds when the database does not answer.

        Raises:
            ConfigurationError: The fleet has no state database.
        """
        if self._client is None or self._pid != os.getpid():
            self._client = self._connect()
            self._scripts = None
            self._pid = os.getpid()
        return self._client

    @property
    def scripts(self) -> ScriptRunner:
        """What runs scripts that may be carried out twice, at less cost.

        Raises:
            ConfigurationError: The fleet has no state database.
        """
        client = self.client
        if self._scripts is None:
            self._scripts = ScriptRunner(client)
        return self._scripts

    def apart(self, answer_within: float = ANSWER_WITHIN_SECONDS) -> State:
        """Return the same database with a client of its own: for a thread that shares no sockets, or has less time."""
        return State(self._url, answer_within)

    def close(self) -> None:
        """Close the connections of this process; new ones are opened when the database is used again."""
        if self._client is not None and self._pid == os.getpid():
            self._client.connection_pool.disconnect()
            if self._scripts is not None:
                self._scripts.close()

    def _connect(self) -> redis.Redis:
        if self._url is None:
            raise ConfigurationError("This needs shared state: give FleetCelery state=, the URL of a Redis database.")
        url = self._url() if callable(self._url) else self._url
        pool = redis.BlockingConnectionPool.from_url(  # in which any number of greenlets take turns
            url.get_secret_value(),
            max_connections=MOST_CONNECTIONS,
            timeout=self._answer_within,
            socket_timeout=self._answer_within,
            socket_connect_timeout=self._answer_within,
            socket_keepalive=True,
        )
        return redis.Redis.from_pool(pool)
