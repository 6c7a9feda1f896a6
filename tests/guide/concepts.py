"""A pytest plugin: what the tests of concepts have shown, kept in a file over several runs, and the table made of it.

``make guide-table`` runs these tests, and writes the table.  All together they take long.  So a run notes each outcome
at once, and the next run leaves out what has passed: it may be stopped, or be told by ``ONLY`` to run a part.  When
all have passed the file is removed, and the next run begins anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.guide.table import FIRST_PAGE, marks_of, rendered, with_table

NOTES, WRITE, SHOW = "--notes-of-concepts", "--write-guide-table", "--show-guide-table"
KEPT_SECONDS = 24 * 3600.0
"""What passed longer ago has to pass once more."""


class Notes:
    """How tests ended, a line of JSON for each."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def add(self, test: str, *, passed: bool) -> None:
        """Note how a test ended."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as notes:
            notes.write(json.dumps({"test": test, "passed": passed, "at": time.time()}) + "\n")

    def passed(self) -> set[str]:
        """Return the tests that passed when they ran last."""
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        last = {note["test"]: note for note in map(json.loads, lines)}
        since = time.time() - KEPT_SECONDS
        return {test for test, note in last.items() if note["passed"] and note["at"] > since}


class LeavingOut:
    """Keeps a run to the tests that have not passed yet."""

    def __init__(self, passed: Collection[str]) -> None:
        self._passed = passed

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process of this run, also one that begins later, so that all of them find the same tests."""
        node.workerinput[NOTES] = sorted(self._passed)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what has passed."""
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in self._passed])
        items[:] = [item for item in items if item.nodeid not in self._passed]


class Noting:
    """Notes how the tests of a run end."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test when it has been torn down; each of its phases counts."""
        if not report.passed:
            self._failed.add(report.nodeid)
        if report.when == "teardown":
            self._notes.add(report.nodeid, passed=report.nodeid not in self._failed)


class Table:
    """Writes the table of the tests that are collected, from what was noted of them; runs none."""

    def __init__(self, notes: Notes, page: Path) -> None:
        self._notes = notes
        self._page = page

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the table: a mark is there where every test of it has passed.

        Raises:
            pytest.UsageError: Some have not; it names them.
        """
        if session.testsfailed:  # what can't be imported is not collected, and would not be missed
            return
        tests = {item.nodeid: marks for item in session.items if (marks := marks_of(item))}
        missing = tests.keys() - self._notes.passed()
        shown = {mark for marks in tests.values() for mark in marks}
        shown -= {mark for test in missing for mark in tests[test]}
        content = self._page.read_text(encoding="utf-8")
        self._page.write_text(with_table(content, rendered(shown)), encoding="utf-8")
        if missing:
            names = "\n".join(sorted(missing))
            raise pytest.UsageError(f"{len(missing)} of {len(tests)} tests of concepts have not passed:\n{names}")
        self._notes.file.unlink(missing_ok=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    told = "note in this file how tests end, and leave out those that have passed by its account"
    parser.addoption(NOTES, metavar="FILE", type=Path, help=told)
    told = "run nothing, and write the table of concepts into a page, the guide's first one by default, from the notes"
    parser.addoption(WRITE, metavar="PAGE", nargs="?", const=FIRST_PAGE, type=Path, help=told)
    told = "write the table into a file, as it would be if every test of this run passed"
    parser.addoption(SHOW, metavar="FILE", type=Path, help=told)


def pytest_configure(config: pytest.Config) -> None:
    """Note what this run shows, or write the table."""
    file, page = config.getoption(NOTES), config.getoption(WRITE)
    if page:
        config.option.collectonly = True
        config.pluginmanager.register(Table(Notes(file), page))
    elif hasattr(config, "workerinput"):
        config.pluginmanager.register(LeavingOut(config.workerinput.get(NOTES, ())))
    elif file:
        config.pluginmanager.register(LeavingOut(Notes(file).passed()))
        config.pluginmanager.register(Noting(Notes(file)))  # it hears of the tests of all processes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a mark that the table has no place for."""
    for item in items:
        marks_of(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no test of a concept be skipped: its mark in the table would be no longer true."""
    report = yield
    if report.skipped and item.get_closest_marker("concept"):
        report.outcome, report.longrepr = "failed", f"skipped, but the guide's table counts on it: {report.longrepr}"
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write what this run would show."""
    if file := session.config.getoption(SHOW):
        file.write_text(rendered({mark for item in session.items for mark in marks_of(item)}))
