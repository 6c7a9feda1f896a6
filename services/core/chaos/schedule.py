"""Which fault comes when: drawn by lot from a seed, so that the same seed gives the same faults."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

FIRST_AFTER_SECONDS = 5.0
"""There has to be work first."""
BETWEEN_SECONDS = 20.0
"""Between two faults of one target: the supervisor gives up on what ends more than five times in a minute."""
FREEZE_SECONDS = (4.0, 14.0)
"""Shorter and longer than the 10 s of a lease."""
OUTAGE_SECONDS = (2.0, 8.0)


class Kind(StrEnum):
    """What is done to a target."""

    KILL = "kill"
    """SIGKILL to a process and all of its children."""
    KILL_CHILD = "kill a child of"
    """SIGKILL to one process of a worker's pool."""
    RESTART = "restart"
    """SIGTERM, and started again."""
    ROLL = "roll"
    """A worker is stopped within its grace period, and a new one takes its place, as a deploy does it."""
    FREEZE = "freeze"
    """SIGSTOP, and SIGCONT some seconds later."""
    CUT = "cut the connections to"
    """Every connection is reset; new ones work."""
    HALF_OPEN = "half-open the connections to"
    """Nothing passes any more over the connections that there are; new ones work."""
    PARTITION = "partition from"
    """Nothing passes, over no connection, for some seconds."""
    FILL = "fill the memory of"
    """Every write is refused for some seconds."""


LASTING = {Kind.FREEZE: FREEZE_SECONDS, Kind.PARTITION: OUTAGE_SECONDS, Kind.FILL: OUTAGE_SECONDS}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a run."""

    at: float
    """Seconds after the start."""
    kind: Kind
    target: str
    seconds: float = 0.0
    """How long it lasts."""

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.1f} s  {self.kind} {self.target}{lasting}"


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly faults follow each other."""

    every: float = 4.0
    """Seconds between two faults, on average."""
    between: float = BETWEEN_SECONDS
    """Seconds between two faults of one target."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What can be struck, by name."""

    workers: Sequence[str]
    forking: Sequence[str]
    """Those of the workers that run their tasks in child processes."""
    helpers: Sequence[str]
    """Other processes of the fleet: the schedule, the relay, the observer."""
    redis: str
    rabbitmq: str | None = None
    database: str | None = None
    rolled: Sequence[str] = ()
    """Those of the workers that are replaced under load."""
    cut_off: Sequence[str] = ()
    """What is cut off from its network once at least."""
    proxied: bool = True
    """Whether single connections to the servers can be cut."""
    pace: Pace = Pace()

    @property
    def servers(self) -> tuple[str, ...]:
        """The brokers, and the database where it is a server."""
        return tuple(name for name in (self.redis, self.rabbitmq, self.database) if name is not None)


def plan_faults(seed: int, seconds: float, targets: Targets) -> tuple[Fault, ...]:
    """Draw the faults of a run.

    Each process is killed once, each server restarted twice and killed once, and what can be rolled or cut off is so
    once, as far as the time allows; the rest is drawn by lot.

    Args:
        seed: The same seed gives the same faults.
        seconds: For how long faults may begin.
        targets: What can be struck.
    """
    lot = random.Random(seed)  # noqa: S311 - it has to be repeatable
    every = targets.pace.every
    count = max(1, int((seconds - FIRST_AFTER_SECONDS) / every))
    slots = [FIRST_AFTER_SECONDS + at * every + lot.uniform(0, every / 2) for at in range(count)]
    certain = _certain(targets)
    lot.shuffle(certain)
    wanted = certain + [_by_lot(lot, targets) for _ in range(max(0, len(slots) - len(certain)))]
    free_at: dict[str, float] = {}
    faults: list[Fault] = []
    for at in slots:
        for number, (kind, target) in enumerate(wanted):
            if free_at.get(target, 0.0) <= at:
                del wanted[number]
                lasts = round(lot.uniform(*LASTING[kind]), 1) if kind in LASTING else 0.0
                faults.append(Fault(round(at, 1), kind, target, lasts))
                free_at[target] = at + lasts + targets.pace.between
                break
    return tuple(faults)


def _certain(targets: Targets) -> list[tuple[Kind, str]]:
    return [
        *((Kind.KILL, name) for name in (*targets.workers, *targets.helpers, *targets.servers)),
        *((Kind.RESTART, name) for name in targets.servers for _ in range(2)),
        *((Kind.ROLL, name) for name in targets.rolled),
        *((Kind.PARTITION, name) for name in targets.cut_off),
    ]


def _by_lot(lot: random.Random, targets: Targets) -> tuple[Kind, str]:
    choices = list(_weighted(targets))
    (choice,) = lot.choices([fault for fault, _ in choices], [weight for _, weight in choices])
    return choice


def _weighted(targets: Targets) -> Iterator[tuple[tuple[Kind, str], float]]:
    """Yield each fault with its weight: work is held by workers, so most faults are theirs."""
    for kind, names, weight in (
        (Kind.KILL, targets.workers, 35),
        (Kind.KILL_CHILD, targets.forking, 15),
        (Kind.FREEZE, targets.workers, 15),
        (Kind.KILL, targets.helpers, 10),
        (Kind.FREEZE, targets.servers, 5),
        (Kind.RESTART, targets.servers, 5),
        (Kind.CUT, targets.servers if targets.proxied else (), 5),
        (Kind.HALF_OPEN, targets.servers if targets.proxied else (), 3),
        (Kind.PARTITION, targets.cut_off or targets.servers, 5),
        (Kind.FILL, (targets.redis,), 2),
        (Kind.ROLL, targets.rolled, 10),
    ):
        for name in names:
            yield (kind, name), weight / len(names)
