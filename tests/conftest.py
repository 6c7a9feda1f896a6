"""Loads the fixtures, and marks what needs servers."""

from __future__ import annotations

import os
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
NEED_SERVERS = ("contract", "faults", "guide", "integration", "acceptance")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start brokers, databases or mail servers: ``make test-unit`` leaves them out."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in NEED_SERVERS:
            item.add_marker(pytest.mark.brokers)
