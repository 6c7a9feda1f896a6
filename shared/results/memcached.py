"""The result store in memcached: for results that may be lost, which they are when it restarts or is full."""

from __future__ import annotations

import os
from typing import Any

from celery.backends import cache
from pymemcache.client.base import PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheUnexpectedCloseError

from shared.errors import InvalidResultStore
from shared.results.polling import PollingStore

ANSWER_WITHIN_SECONDS = 4.0


class MemcachedBackend(PollingStore, cache.CacheBackend):
    """Celery's result store in memcached, with connections that threads and forked processes do not share.

    Chords are watched by ``celery.chord_unlock``, as in a database: a counter in memcached counts a member twice that
    is executed twice, and is lost with everything else when memcached restarts.
    """

    implements_incr = False

    def __init__(self, app: Any, *args: Any, **options: Any) -> None:
        super().__init__(app, *args, **options)
        if max(self.expires or 0, self.chord_expires or 0) > cache.MAX_RELATIVE_EXPIRES:
            raise InvalidResultStore("memcached keeps nothing longer than 30 days: set result_expires to less.")
        self._clients: dict[int, Any] = {}

    @property
    def client(self) -> Any:
        """The client of this process."""
        pid = os.getpid()
        if pid not in self._clients:
            self._clients[pid] = self._new_client()
        return self._clients[pid]

    def close(self) -> None:
        """Close the connections of this process."""
        if client := self._clients.pop(os.getpid(), None):
            client.close()

    def is_out_of_reach(self, error: Exception) -> bool:
        """Tell whether memcached does not answer."""
        return isinstance(error, OSError | MemcacheUnexpectedCloseError)

    def _new_client(self) -> Any:
        options = {
            "default_noreply": False,
            "connect_timeout": ANSWER_WITHIN_SECONDS,
            "timeout": ANSWER_WITHIN_SECONDS,
            **self.options,
        }
        servers = [server for server in self.servers if server]
        if len(servers) == 1:
            return PooledClient(servers[0], **options)
        return HashClient(servers, use_pooling=True, **options)
