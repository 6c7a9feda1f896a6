"""What was promised of speed, and whether the figures hold it: pure, from results alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.facts import ABOVE_IDLE, GROWTH, LOSS, OF_STOCK
from benchmarks.harness import Kind, Series

Found = Mapping[str, Series]
Value = Callable[[Found], float | None]


@dataclass(frozen=True, slots=True)
class Gate:
    """One promise.

    Args:
        work: What is done.
        measure: What the value is, in words.
        value: The value of some results; ``None`` where it was not measured.
        gate: What must be reached; ``None`` where there is a stretch alone.
        stretch: What is tried for.
        at_most: Whether the value must not be greater; else it must not be less.
        unit: Of the value.
    """

    work: str
    measure: str
    value: Value
    gate: float | None
    stretch: float | None = None
    at_most: bool = False
    unit: str = "×"

    def holds(self, found: Found, limit: float | None) -> bool | None:
        """Tell whether a limit is held; ``None`` where there is none, or no value."""
        value = self.value(found)
        if value is None or limit is None:
            return None
        return value <= limit if self.at_most else value >= limit


def ours_over(key: str, other: str | Kind, ours: str | None = None) -> Value:
    """Return how many times as good the fleet is as another, by medians: more is better, whatever is measured.

    Args:
        key: Of the series.
        other: The name of the other, or its kind, of which the best counts.
        ours: The name of a way of ours; the best by default.
    """

    def value(found: Found) -> float | None:
        series = found.get(key)
        if series is None:
            return None
        mine = series.named(ours) if ours else series.best(Kind.OURS)
        theirs = series.best(other) if isinstance(other, Kind) else series.named(other)
        if not (mine and theirs and mine.median and theirs.median):
            return None
        return mine.median / theirs.median if series.more_is_better else theirs.median / mine.median

    return value


def of(key: str, name: str) -> Value:
    """Return the median of a way."""

    def value(found: Found) -> float | None:
        way = found[key].named(name) if key in found else None
        return way.median if way else None

    return value


def inverse(value: Value) -> Value:
    """Return a share the other way round."""

    def turned(found: Found) -> float | None:
        known = value(found)
        return 1 / known if known else None

    return turned


def fact(key: str, name: str) -> Value:
    """Return what else is known of a series."""

    def value(found: Found) -> float | None:
        known = found[key].facts.get(name) if key in found else None
        return None if known is None else float(known)

    return value


STOCK, LIMIT = Kind.STOCK, Kind.LIMIT
DRAIN_REDIS, DRAIN_RABBITMQ = "drain no-ops, Redis, 2 processes", "drain no-ops, RabbitMQ, 2 processes"
CHORD = "chord of 10,000"
URGENCY = "critical p99, publish to start, under load"

GATES: tuple[Gate, ...] = (
    Gate(DRAIN_REDIS, "÷ best stock pool", ours_over("drain-redis", STOCK), 2.0),
    Gate(DRAIN_REDIS, "÷ Dramatiq", ours_over("drain-redis", "Dramatiq"), 1.0),
    Gate(DRAIN_REDIS, "÷ Taskiq", ours_over("drain-redis", "Taskiq"), 1.0),
    Gate(DRAIN_REDIS, "÷ Huey", ours_over("drain-redis", "Huey"), None, 1.2),
    Gate(DRAIN_REDIS, "÷ raw loop", ours_over("drain-redis", LIMIT), None, 0.5),
    Gate(DRAIN_RABBITMQ, "÷ best stock pool", ours_over("drain-rabbitmq", STOCK), 1.0),
    Gate(DRAIN_RABBITMQ, "÷ Taskiq", ours_over("drain-rabbitmq", "Taskiq"), 1.0),
    Gate(DRAIN_RABBITMQ, "÷ Dramatiq", ours_over("drain-rabbitmq", "Dramatiq"), None, 1.2),
    Gate("publish one at a time, Redis", "÷ stock", ours_over("publish-redis", STOCK), 1.5),
    Gate("publish one at a time, Redis", "÷ Huey", ours_over("publish-redis", "Huey"), None, 1.0),
    Gate("publish one at a time, RabbitMQ, confirmed", "÷ raw py-amqp", ours_over("publish-rabbitmq", LIMIT), 0.6, 0.8),
    Gate("publish in bulk, Redis", "÷ raw pipelines", ours_over("bulk-redis", LIMIT), 0.15, 0.3),
    Gate(
        "publish in bulk, RabbitMQ, confirmed",
        "÷ raw py-amqp, confirms of 500",
        ours_over("bulk-rabbitmq", "py-amqp, confirms of 500"),
        0.6,
        0.8,
    ),
    Gate("group of 10,000, Redis", "seconds", of("group-redis", "Switchyard"), 1.0, 0.5, at_most=True, unit="s"),
    Gate("group of 10,000, RabbitMQ", "seconds", of("group-rabbitmq", "Switchyard"), 2.5, 1.5, at_most=True, unit="s"),
    Gate(CHORD, "as fast as the best stock pool", ours_over("chord", STOCK), 3.0, 6.0),
    Gate(CHORD, "memory of a prefork parent after 10,000 ÷ after 1,000", fact("chord", GROWTH), 1.1, at_most=True),
    Gate(URGENCY, "above idle p99", fact("urgency", ABOVE_IDLE), 100.0, 20.0, at_most=True, unit="ms"),
    Gate(URGENCY, "÷ stock on one broker", fact("urgency", OF_STOCK), 0.1, at_most=True),
    Gate(
        "1,000,000 waiting against 1,000",
        "loss beyond a raw client's",
        fact("depth", LOSS),
        0.1,
        at_most=True,
        unit="share",
    ),
    Gate(
        "campaign of 20,000, ledger on", "as fast as the script", ours_over("campaign", "script of two processes"), 3.0
    ),
    Gate("campaign of 20,000, ledger on", "÷ loop, rendered beforehand", ours_over("campaign", LIMIT), None, 0.5),
    Gate("2,000 mixed images", "÷ bare loop", ours_over("images", LIMIT), 0.85, 0.95),
    Gate("worker memory (PSS)", "÷ stock", inverse(ours_over("memory", STOCK)), 1.1, 1.0, at_most=True),
    Gate("worker ready", "seconds", of("ready", "Switchyard, prefork"), 1.5, 1.0, at_most=True, unit="s"),
    Gate("yard --help", "seconds", of("help", "yard --help"), 0.3, 0.2, at_most=True, unit="s"),
)
