"""Processes files: inspects, transforms and extracts images, documents and archives."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Give ``celery -A services.file_worker`` its app, imported when it is asked for."""
    if name == "celery":
        from services.file_worker.app import app

        return app
    raise AttributeError(name)
