"""The table of the guide's first page: which concept works on which broker in which pool, by the tests that show it.

A test shows a concept when it bears ``@pytest.mark.concept("beat")``.  Its parameters ``target`` (or ``broker``) and
``pool``, or ``worker``, which is both, say where.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import pytest

from shared.names import BrokerName
from shared.queues import Pool
from tests.guide.pages import GUIDE

FIRST_PAGE = GUIDE / "README.md"
BEGINS, ENDS = "<!-- concepts: made by make guide-table -->\n", "<!-- end -->\n"
ANYWHERE = "anywhere"
PLACES = {
    BrokerName.DEFAULT: "`default`, Redis",
    BrokerName.CRITICAL: "`critical`, Redis",
    BrokerName.BATCH: "`batch`, RabbitMQ",
    ANYWHERE: ANYWHERE,
}
CONCEPTS = (
    "route by queue",
    "route by broker",
    "routing key, priority in a route",
    "pools, options",
    "explicit queues",
    "priority queues",
    "worker per queue",
    "several apps",
    "calls by name from a client",
    "configuration as guides spell it",
    "scatter",
    "signatures, partials, templates",
    "immutability",
    "callbacks",
    "chain, group, chord, nested",
    "chunks",
    "map, starmap",
    "stamping",
    "result store",
    "progress",
    "early ack, late ack",
    "manual ack",
    "soft, hard, combined timeouts",
    "retry",
    "eta, countdown, expires",
    "rate limit",
    "compression",
    "custom base task",
    "beat",
    "remote control",
    "autoscale, multi",
    "the e-mail system",
    "the file workflow",
    "monitoring",
    "librabbitmq",
    "make it your own",
)


class Mark(NamedTuple):
    """What one test shows."""

    concept: str
    place: str
    pool: str


def marks_of(item: pytest.Item) -> list[Mark]:
    """Return what a test shows.

    Raises:
        pytest.UsageError: There is no such concept, broker or pool.
    """
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    broker, pool = parameters.get("worker", (None, None))
    place = str(parameters.get("target") or parameters.get("broker") or broker or ANYWHERE)
    pool = str(parameters.get("pool") or pool or "")
    marks = [Mark(str(marker.args[0]), place, pool) for marker in item.iter_markers("concept")]
    for mark in marks:
        for value, known in zip(mark, (CONCEPTS, PLACES, ("", *Pool)), strict=True):
            if value not in known:
                raise pytest.UsageError(f"{item.nodeid} shows {mark}, but {value!r} is not one of {', '.join(known)}")
    return marks


def rendered(marks: Collection[Mark]) -> str:
    """Write the table that has these marks."""
    rows = [["concept", *PLACES.values()], ["---"] * (1 + len(PLACES))]
    rows += [[concept, *(_cell(concept, place, marks) for place in PLACES)] for concept in CONCEPTS]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(concept: str, place: str, marks: Collection[Mark]) -> str:
    shown = {pool for pool in ("", *Pool) if Mark(concept, place, pool) in marks}
    if shown.issuperset(Pool):
        return "every pool"
    return ", ".join(pool for pool in Pool if pool in shown) or ("✓" if shown else "–")


def table_of(page: str) -> str:
    """Return the table of a page."""
    return page.partition(BEGINS)[2].partition(ENDS)[0].strip("\n") + "\n"


def with_table(page: str, table: str) -> str:
    """Return a page with another table in it."""
    before, _, rest = page.partition(BEGINS)
    return f"{before}{BEGINS}\n{table}\n{ENDS}{rest.partition(ENDS)[2]}"
