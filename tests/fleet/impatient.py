"""The fleet of the tests of result stores, with workers that keep an outcome for a second only."""

from __future__ import annotations

from shared.results import store
from tests.fleet.storing import app

__all__ = ["app"]

store.KEEP_SECONDS = 1.0
