"""A pytest plugin: the tests use workers that already run, and write down how each test ended.

Celery's harness starts its one worker in a thread of the test process; here workers are processes of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery.contrib.testing import worker

TEST_SECONDS = 60
"""Some tests wait for a result without end; Celery's own limit for one test is 300 seconds."""


@contextmanager
def no_worker(*args: object, **options: object) -> Iterator[None]:
    """Stand in for ``celery.contrib.testing.worker.start_worker``."""
    yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, required=True, help="File for the outcome of each test, as JSON.")


def pytest_configure(config: pytest.Config) -> None:
    worker.start_worker = no_worker
    config.pluginmanager.register(Outcomes(config.getoption("--outcomes")))


def pytest_itemcollected(item: pytest.Item) -> None:
    limit = item.get_closest_marker("timeout")
    if limit is None or limit.kwargs.get("timeout", TEST_SECONDS + 1) > TEST_SECONDS:
        item.add_marker(pytest.mark.timeout(TEST_SECONDS, method="signal"), append=False)


class Outcomes:
    """Notes how each test ended: ``passed``, ``failed``, ``skipped`` or ``xfailed``; the worst of its phases."""

    ORDER = ("passed", "xfailed", "skipped", "failed")

    def __init__(self, file: Path) -> None:
        self._file = file
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = "xfailed" if report.skipped and hasattr(report, "wasxfail") else report.outcome
        so_far = self._outcomes.get(report.nodeid, "passed")
        self._outcomes[report.nodeid] = max(so_far, outcome, key=self.ORDER.index)

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps(self._outcomes, indent=1))
