"""Makes the faults of a schedule happen, and notes which of them hit work in flight."""

from __future__ import annotations

import heapq
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread

import psutil
import redis

from services.core.chaos.proxy import Proxy
from services.core.chaos.schedule import Fault, Kind
from services.core.local.service import Service
from shared.errors import FleetError

Tell = Callable[[str], None]
InFlight = Callable[[], int]


class FaultsFailed(FleetError):
    """A fault could not be made; what a run shows without it proves nothing."""


@dataclass(slots=True)
class Strike:
    """A fault that was made."""

    fault: Fault
    at: float
    """When, by ``time.monotonic``."""
    hit: Mapping[str, int]
    """What was in flight in what was struck, or behind it: tasks by worker, entries of the outbox by relay."""
    found: bool = True
    """Whether the target ran."""
    over_at: float = field(default=0.0)
    """When a lasting one was over; else when it was made."""

    @property
    def in_flight(self) -> int:
        """How much was in flight there."""
        return sum(self.hit.values())


class Striker:
    """Makes faults, one after the other, in a thread.

    Args:
        faults: In the order of their time.
        services: Everything that can be struck, by name.
        proxies: What stands before each broker, by its name.
        in_flight: Says what is in flight in a process now, by its name.
        behind: The workers whose work a fault of a broker hits, by its name.
        redis_url: Of the Redis whose memory may be filled, past any proxy.
        seed: Chooses among the children of a pool.
        tell: Takes a line for each fault.
    """

    def __init__(
        self,
        faults: Sequence[Fault],
        *,
        services: Mapping[str, Service],
        proxies: Mapping[str, Proxy],
        in_flight: Mapping[str, InFlight],
        behind: Mapping[str, Sequence[str]],
        redis_url: str,
        seed: int,
        tell: Tell,
    ) -> None:
        self.strikes: list[Strike] = []
        self._services, self._proxies = services, proxies
        self._in_flight, self._behind = in_flight, behind
        self._redis_url = redis_url
        self._lot = random.Random(seed)  # noqa: S311 - it has to be repeatable
        self._tell = tell
        self._failed: Exception | None = None
        self._over = Event()
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._started = time.monotonic()
        for fault in faults:
            self._plan(fault.at, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        self._thread = Thread(target=self._run, name="striker", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until every fault was made and is over; return whether that is so.

        Raises:
            FaultsFailed: One could not be made.
        """
        self._thread.join(seconds)
        if self._failed is not None:
            raise FaultsFailed("A fault could not be made; the run proves nothing.") from self._failed
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Make no more faults, and let go of what is frozen, cut off or full."""
        self._over.set()
        self._thread.join(30)
        for name, service in self._services.items():
            service.resume()
            if name in self._proxies:
                self._proxies[name].thaw()
        with suppress(redis.RedisError):
            self._set_memory(0)

    def _plan(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), action))

    def _run(self) -> None:
        while self._due:
            at, _, action = heapq.heappop(self._due)
            if self._over.wait(max(0.0, self._started + at - time.monotonic())):
                return
            try:
                action()
            except Exception as error:  # noqa: BLE001 - raised again by whoever waits
                self._failed = error
                return

    def _strike(self, fault: Fault) -> None:
        counts = {name: self._in_flight[name]() for name in self._behind.get(fault.target, [fault.target])}
        hit = {name: number for name, number in counts.items() if number}
        strike = Strike(fault, time.monotonic(), hit, found=self._services[fault.target].alive)
        self.strikes.append(strike)
        self._tell(f"{fault}{'' if strike.found else ' (it is not running)'}, {strike.in_flight} in flight there")
        if not strike.found:
            return
        undo = self._do(fault)
        strike.over_at = time.monotonic()
        if undo is not None:

            def end() -> None:
                undo()
                strike.over_at = time.monotonic()

            self._plan(time.monotonic() - self._started + fault.seconds, end)

    def _do(self, fault: Fault) -> Callable[[], None] | None:
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
        return None

    def _kill_child(self, service: Service) -> None:
        pid = service.processes[0].pid
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            children = psutil.Process(pid).children() if pid else []
            if children:
                os.kill(self._lot.choice(sorted(child.pid for child in children)), signal.SIGKILL)

    def _fill(self) -> Callable[[], None] | None:
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
