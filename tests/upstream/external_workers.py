"""A pytest plugin: the tests use workers that already run, and their outcomes are written down.

Celery's harness starts its one worker in a thread of the test process; here workers are processes of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery.contrib.testing import worker

from services.core.local.private_files import write_private
from tests.upstream.outcomes import Outcome

TEST_SECONDS = 200
"""No test takes longer unless it waits without end; Celery's own limit is 300 seconds, and not for all tests."""


@contextmanager
def no_worker(*args: object, **options: object) -> Iterator[None]:
    """Stand in for ``celery.contrib.testing.worker.start_worker``."""
    yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, required=True, help="File for the outcome of each test, as JSON.")


def pytest_configure(config: pytest.Config) -> None:
    worker.start_worker = no_worker
    config.pluginmanager.register(OutcomesOnDisk(config.getoption("--outcomes")))


def pytest_itemcollected(item: pytest.Item) -> None:
    limit = item.get_closest_marker("timeout")
    if limit is None or limit.kwargs.get("timeout", TEST_SECONDS + 1) > TEST_SECONDS:
        item.add_marker(pytest.mark.timeout(TEST_SECONDS, method="signal"), append=False)


class OutcomesOnDisk:
    """Writes down how each test ended: the worst of its phases and subtests."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._outcomes: dict[str, Outcome] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._outcomes = {item.nodeid: Outcome.NOT_RUN for item in session.items}
        self._write()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        so_far = self._outcomes[report.nodeid] or Outcome.PASSED
        self._outcomes[report.nodeid] = min(so_far, outcome_of(report))
        if report.when == "teardown":
            self._write()

    def _write(self) -> None:
        write_private(self._file, json.dumps(self._outcomes))


def outcome_of(report: pytest.TestReport) -> Outcome:
    """Return the outcome of one phase of a test."""
    if report.failed:
        return Outcome.FAILED
    if report.skipped:
        return Outcome.EXPECTED_FAILURE if hasattr(report, "wasxfail") else Outcome.SKIPPED
    return Outcome.PASSED
