"""What all comparisons have in common: ways to do the same work, measured in turn, round by round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Whose way something is."""

    OURS = "ours"
    STOCK = "stock"
    PEER = "peer"
    LIMIT = "limit"
    """As bare as it gets: nobody who writes in Python is faster."""


class Failed(Exception):
    """A way could not be measured; says why."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do the work of a comparison.

    Args:
        name: How the page calls it.
        kind: Whose it is.
        measure: Does the work once, and returns what the comparison measures.
        rounds: How often at most; as often as all others by default.
    """

    name: str
    kind: Kind
    measure: Callable[[], float]
    rounds: int | None = None


@dataclass(slots=True)
class Measured:
    """What was found of one way."""

    name: str
    kind: Kind
    values: list[float] = field(default_factory=list)
    failed: str | None = None

    @property
    def median(self) -> float | None:
        """The median of the rounds; ``None`` where the way failed or was not measured."""
        return statistics.median(self.values) if self.values and self.failed is None else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The least and the greatest value."""
        return (min(self.values), max(self.values)) if self.values else None


@dataclass(slots=True)
class Series:
    """What was found in one comparison, and under which conditions."""

    key: str
    unit: str
    more_is_better: bool
    found: list[Measured]
    amount: int = 0
    """How much work a round was: messages, recipients, images."""
    rounds: int = 0
    quick: bool = False
    taken: str = ""
    """When, in UTC."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is to be said of it."""
    beside: str | None = None
    """The way of ours that the others are compared with: a name, our best by default, or none where it is empty."""

    def named(self, name: str) -> Measured | None:
        """Return what was found of one way."""
        return next((each for each in self.found if each.name == name), None)

    def best(self, kind: Kind) -> Measured | None:
        """Return the best of a kind, of those that did not fail."""
        found = [each for each in self.found if each.kind is kind and each.median is not None]
        return (max if self.more_is_better else min)(found, key=lambda each: each.median or 0.0, default=None)

    def reference(self) -> Measured | None:
        """Return the way of ours that the others are compared with."""
        return self.best(Kind.OURS) if self.beside is None else self.named(self.beside)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Series:
        """Make it of what JSON holds."""
        found = [Measured(**{**each, "kind": Kind(each["kind"])}) for each in held["found"]]
        return cls(**{**held, "found": found})


def interleave(ways: Sequence[Way], rounds: int, tell: Callable[[str], object]) -> list[Measured]:
    """Measure every way once in each round, in turn and in turns of direction; who fails drops out.

    Args:
        ways: What is compared.
        rounds: How many rounds.
        tell: Is told of each value as it comes.
    """
    found = {way.name: Measured(way.name, way.kind) for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else tuple(reversed(ways)):
            measured = found[way.name]
            if measured.failed is None and number < (way.rounds or rounds):
                _measure(way, measured)
                tell(f"  round {number + 1}  {way.name:44} {_last(measured)}")
    return list(found.values())


def _last(measured: Measured) -> str:
    return measured.failed or f"{measured.values[-1]:,.4g}"


def _measure(way: Way, measured: Measured) -> None:
    try:
        measured.values.append(way.measure())
    except Failed as error:
        measured.failed = " ".join(str(error).split())[:400]
    except Exception as error:  # noqa: BLE001 - whatever a peer does, the others are measured, and the page says so
        measured.failed = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
