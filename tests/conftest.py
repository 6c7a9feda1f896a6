"""Loads the fixtures."""

from __future__ import annotations

pytest_plugins = ["tests.fixtures.brokers", "tests.fixtures.ledger", "tests.fixtures.postgres"]
