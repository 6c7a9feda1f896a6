"""Loads the fixtures, and marks what needs servers."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

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
WHOLE_FLEETS = ("acceptance", "guide", "console")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start brokers, databases or mail servers: ``make test-unit`` leaves them out.

    Files whose few tests take minutes begin first, for at the end each would run alone; then those with most tests.
    """
    for item in items:
        if _kind(item) in NEED_SERVERS:
            item.add_marker(pytest.mark.brokers)
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (_kind(item) not in WHOLE_FLEETS, -tests[item.path]))


def _kind(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]
