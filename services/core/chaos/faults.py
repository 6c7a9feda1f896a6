"""Makes the faults of a schedule happen, and notes which of them hit work in flight."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread
from typing import Protocol

from services.core.chaos.schedule import Fault
from shared.errors import FleetError

Tell = Callable[[str], None]
InFlight = Callable[[], int]
Undo = Callable[[], None]


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


class Faults(Protocol):
    """Strikes one kind of fleet."""

    def runs(self, target: str) -> bool:
        """Tell whether something runs."""

    def make(self, fault: Fault) -> Undo | None:
        """Make a fault; return how to end it, if it lasts."""

    def finish(self) -> None:
        """Wait for faults that take their time.

        Raises:
            FaultsFailed: One could not be made.
        """

    def let_go(self) -> None:
        """Let everything go on that is frozen, cut off or full."""


class Striker:
    """Makes faults, one after the other, in a thread.

    Args:
        schedule: The faults, in the order of their time.
        faults: Makes each.
        in_flight: Says what is in flight in a process now, by its name.
        behind: The processes whose work a fault of a server hits, by its name.
        tell: Takes a line for each fault.
    """

    def __init__(
        self,
        schedule: Sequence[Fault],
        faults: Faults,
        *,
        in_flight: Mapping[str, InFlight],
        behind: Mapping[str, Sequence[str]],
        tell: Tell,
    ) -> None:
        self.strikes: list[Strike] = []
        self._faults = faults
        self._in_flight, self._behind = in_flight, behind
        self._tell = tell
        self._failed: Exception | None = None
        self._over = Event()
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._started = time.monotonic()
        for fault in schedule:
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
            raise FaultsFailed(f"A fault could not be made; the run proves nothing. {self._failed}") from self._failed
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Make no more faults, and let go of what is frozen, cut off or full."""
        self._over.set()
        self._thread.join(30)
        self._faults.let_go()

    def _plan(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), action))

    def _run(self) -> None:
        try:
            while self._due:
                at, _, action = heapq.heappop(self._due)
                if self._over.wait(max(0.0, self._started + at - time.monotonic())):
                    return
                action()
            self._faults.finish()
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            self._failed = error

    def _strike(self, fault: Fault) -> None:
        counts = {name: self._in_flight[name]() for name in self._behind.get(fault.target, [fault.target])}
        hit = {name: number for name, number in counts.items() if number}
        strike = Strike(fault, time.monotonic(), hit, found=self._faults.runs(fault.target))
        self.strikes.append(strike)
        self._tell(f"{fault}{'' if strike.found else ' (it is not running)'}, {strike.in_flight} in flight there")
        if not strike.found:
            return
        undo = self._faults.make(fault)
        strike.over_at = time.monotonic()
        if undo is not None:

            def end() -> None:
                undo()
                strike.over_at = time.monotonic()

            self._plan(time.monotonic() - self._started + fault.seconds, end)
