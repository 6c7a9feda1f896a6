"""Fixtures of the tests of faults."""

from __future__ import annotations

from tests.fixtures.mishaps import afresh

__all__ = ["afresh"]
