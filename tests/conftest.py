"""Loads the fixtures, and marks what needs servers."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

pytest_plugins = [
    "pytester",
    "tests.fixtures.brokers",
    "tests.fixtures.ledger",
    "tests.fixtures.memcached",
    "tests.fixtures.postgres",
    "tests.fixtures.stores",
    "tests.guide.concepts",
]

os.environ.setdefault("YARD_LOG_FORMAT", "text")
"""Tests read logs as people do; those of the other form ask for it."""
NEED_SERVERS = ("contract", "faults", "guide", "integration", "acceptance", "console")
LONGEST = (
    "contract/test_yard_queues.py",
    "contract/test_fleet_history.py",
    "contract/test_celery_cli.py",
    "acceptance/test_restart.py",
    "contract/test_yard_control.py",
    "console/test_a_day.py",
    "integration/api/test_slow_clients.py",
    "acceptance/test_demo.py",
    "contract/test_results.py",
    "integration/local/test_supervisor.py",
    "acceptance/test_make_it_yours.py",
    "integration/api/test_brokers_that_stand_still.py",
    "acceptance/test_yard.py",
    "contract/test_limits.py",
    "acceptance/test_api_page.py",
)
"""What takes more than a minute and a half by itself; at the end of a run each would be alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start brokers, databases or mail servers: ``make test-unit`` leaves them out.

    The longest begin, and then those with most tests.
    """
    for item in items:
        if _kind(item) in NEED_SERVERS:
            item.add_marker(pytest.mark.brokers)
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (_place(item), -tests[item.path]))


def _kind(item: pytest.Item) -> str:
    return _path(item).parts[0]


def _place(item: pytest.Item) -> int:
    path = str(_path(item))
    return LONGEST.index(path) if path in LONGEST else len(LONGEST)


def _path(item: pytest.Item) -> Path:
    return item.path.relative_to(Path(__file__).parent)
