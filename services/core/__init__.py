"""Submits work, keeps the ledger, merges results, runs the schedule; home of the command line."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Give ``celery -A services.core`` its app, imported when it is asked for."""
    if name == "celery":
        from services.core.app import app

        return app
    raise AttributeError(name)
