"""The table of the guide's first page: which concept works on which broker in which pool, by the tests that show it.

A test shows a concept when it bears ``@pytest.mark.concept("chord")``.  Its parameters ``target`` (or ``broker``) and
``pool``, or ``worker``, which is both, say where.  ``make guide-table`` runs all such tests and writes the table.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.names import BrokerName
from shared.queues import Pool
from tests.guide.pages import GUIDE

FIRST_PAGE = GUIDE / "README.md"
BEGINS, ENDS = "<!-- concepts: made by make guide-table -->\n", "<!-- end -->\n"
WRITE, SHOW = "--write-guide-table", "--show-guide-table"
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


Outcomes = Mapping[Mark, bool]
"""Whether all tests of a mark passed."""


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


def rendered(outcomes: Outcomes) -> str:
    """Write the table."""
    rows = [["concept", *PLACES.values()], ["---"] * (1 + len(PLACES))]
    rows += [[concept, *(_cell(concept, place, outcomes) for place in PLACES)] for concept in CONCEPTS]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(concept: str, place: str, outcomes: Outcomes) -> str:
    shown = {pool for pool in ("", *Pool) if outcomes.get(Mark(concept, place, pool))}
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


class GuideTable:
    """Gathers what the tests of a run show, and writes it down at the end if it was asked to."""

    def __init__(self, page: Path | None) -> None:
        self._page = page
        self._outcomes: dict[Mark, bool] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note for each test what it shows, in a place that travels with its reports."""
        for item in items:
            item.user_properties += [("concept", list(mark)) for mark in marks_of(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test as shown when each of its phases passed."""
        for mark in _marks(report.user_properties):
            self._outcomes[mark] = self._outcomes.get(mark, True) and report.passed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what this run has shown."""
        if self._page and not hasattr(session.config, "workerinput"):
            content = self._page.read_text(encoding="utf-8")
            self._page.write_text(with_table(content, rendered(self._outcomes)), encoding="utf-8")


def _marks(properties: Iterable[tuple[str, Any]]) -> Iterator[Mark]:
    return (Mark(*value) for name, value in properties if name == "concept")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    told = "write the table of concepts into a page, the guide's first one by default, from what this run shows"
    parser.addoption(WRITE, metavar="PAGE", nargs="?", const=FIRST_PAGE, type=Path, help=told)
    told = "write the table into a file, as it would be if every test of this run passed"
    parser.addoption(SHOW, metavar="FILE", type=Path, help=told)


def pytest_configure(config: pytest.Config) -> None:
    """Gather what this run shows."""
    config.pluginmanager.register(GuideTable(config.getoption(WRITE)), "guide-table")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no test of a concept be skipped: its mark in the table would be no longer true."""
    report = yield
    if report.skipped and any(_marks(item.user_properties)):
        report.outcome, report.longrepr = "failed", f"skipped, but the guide's table counts on it: {report.longrepr}"
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write what this run would show."""
    if file := session.config.getoption(SHOW):
        file.write_text(rendered({mark: True for item in session.items for mark in _marks(item.user_properties)}))
