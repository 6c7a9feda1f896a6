"""Loads the fixtures, and marks what needs servers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = [
    "tests.fixtures.brokers",
    "tests.fixtures.ledger",
    "tests.fixtures.memcached",
    "tests.fixtures.postgres",
    "tests.fixtures.stores",
    "tests.guide.table",
]

NEED_SERVERS = ("contract", "faults", "guide", "integration", "acceptance")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start brokers, databases or mail servers: ``make test-unit`` leaves them out."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in NEED_SERVERS:
            item.add_marker(pytest.mark.brokers)
