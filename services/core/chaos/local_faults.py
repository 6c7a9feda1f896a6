"""Faults of a fleet on one machine: signals to its processes, and proxies before its brokers."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Mapping
from contextlib import suppress

import psutil
import redis

from services.core.chaos.faults import FaultsFailed, Undo
from services.core.chaos.proxy import Proxy
from services.core.chaos.schedule import Fault, Kind
from services.core.local.service import Service


class LocalFaults:
    """Strikes the services of a fleet; its supervisor starts again what ends.

    Args:
        services: Everything that can be struck, by name.
        proxies: What stands before each broker, by its name.
        redis_url: Of the Redis whose memory may be filled, past any proxy.
        seed: Chooses among the children of a pool.
    """

    def __init__(
        self, services: Mapping[str, Service], *, proxies: Mapping[str, Proxy], redis_url: str, seed: int
    ) -> None:
        self._services, self._proxies = services, proxies
        self._redis_url = redis_url
        self._lot = random.Random(seed)  # noqa: S311 - it has to be repeatable

    def runs(self, target: str) -> bool:
        """Tell whether something runs."""
        return self._services[target].alive

    def make(self, fault: Fault) -> Undo | None:
        """Make a fault; return how to end it, if it lasts."""
        service = self._services[fault.target]
        match fault.kind:
            case Kind.KILL:
                service.kill()
            case Kind.KILL_CHILD:
                self._kill_child(service)
            case Kind.RESTART:
                service.terminate()
            case Kind.FREEZE:
                service.pause()
                return service.resume
            case Kind.CUT:
                self._proxies[fault.target].cut()
            case Kind.HALF_OPEN:
                self._proxies[fault.target].half_open()
            case Kind.PARTITION:
                self._proxies[fault.target].freeze()
                return self._proxies[fault.target].thaw
            case Kind.FILL:
                return self._fill()
            case Kind.ROLL:
                raise FaultsFailed("A fleet on one machine is rolled by `yard restart`.")
        return None

    def finish(self) -> None:
        """Wait for nothing: every fault here is made at once."""

    def let_go(self) -> None:
        """Let everything go on that is frozen, cut off or full."""
        for name, service in self._services.items():
            service.resume()
            if name in self._proxies:
                self._proxies[name].thaw()
        with suppress(redis.RedisError):
            self._set_memory(0)

    def _kill_child(self, service: Service) -> None:
        pid = service.processes[0].pid
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            children = psutil.Process(pid).children() if pid else []
            if children:
                os.kill(self._lot.choice(sorted(child.pid for child in children)), signal.SIGKILL)

    def _fill(self) -> Undo | None:
        with suppress(redis.RedisError):
            self._set_memory(1)
            return self._empty
        return None

    def _empty(self) -> None:
        with suppress(redis.RedisError):  # one that was restarted meanwhile has forgotten its limit
            self._set_memory(0)

    def _set_memory(self, limit: int) -> None:
        with redis.Redis.from_url(self._redis_url, socket_timeout=2) as client:
            client.config_set("maxmemory", limit)
