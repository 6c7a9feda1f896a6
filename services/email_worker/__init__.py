"""Validates, renders and sends mail: single messages at once, campaigns in chunks."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Give ``celery -A services.email_worker`` its app, imported when it is asked for."""
    if name == "celery":
        from services.email_worker.app import app

        return app
    raise AttributeError(name)
