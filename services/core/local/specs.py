"""What a fleet is to run, described before anything is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.core.local.ports import listens
from shared.settings import FleetSettings


class Running(Protocol):
    """What a check of readiness may look at."""

    @property
    def metrics_port(self) -> int | None:
        """The port of ``/metrics``, if it was given one."""

    def output(self) -> str:
        """Read what the process has written since it was started last."""


Readiness = Callable[[Running], bool]
"""Says whether a process does its job by now; asked again and again until it says yes."""


def at_once(_: Running) -> bool:
    """Take a process for ready as soon as it runs."""
    return True


def serves_metrics(process: Running) -> bool:
    """Take a process for ready when its ``/metrics`` answers."""
    return process.metrics_port is not None and listens(process.metrics_port)


def logged(text: str) -> Readiness:
    """Take a process for ready when it has written ``text``."""
    return lambda process: text in process.output()


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process of a fleet, or one command that has to succeed before any of them."""

    name: str
    """Unique in the fleet; also the name of its log file."""
    argv: tuple[str, ...]
    """The program and its arguments; anyone on the machine can read these, so no passwords."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those that every process of the fleet gets."""
    ready: Readiness = at_once
    metrics: bool = False
    """Whether it gets a free port for ``/metrics``, as ``YARD_METRICS_PORT``."""
    http_port: int | None = None
    """The port that it serves others on, where it does."""
    grace: float = 30.0
    """Seconds that running work gets to end when the fleet stops."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a fleet runs beside its brokers and its mail catcher."""

    processes: tuple[ProcessSpec, ...]
    """What runs side by side, and is started again when it ends."""
    preparations: tuple[ProcessSpec, ...] = ()
    """What runs to its end before, one after the other, such as the database migration."""


Planner = Callable[[FleetSettings], Plan]
"""Makes the plan of a fleet whose brokers run; the settings say where."""
