"""What stored messages say, without a broker."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any


def signatures(release: Path) -> Iterator[dict[str, Any]]:
    """Yield every signature in messages, shared state and outbox of a release, those inside others too."""
    for keys in json.loads((release / "redis.json").read_text()):
        for kept in keys.values():
            yield from _inside(kept["value"])
    yield from _inside(json.loads((release / "rabbitmq.json").read_text()))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((release / "ledger.sql").read_text())
        for (canvas,) in connection.execute("SELECT signature FROM outbox"):
            yield from _inside(json.loads(canvas))


def _inside(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("task"), str) and "kwargs" in value:
            yield value
        for each in value.values():
            yield from _inside(each)
    elif isinstance(value, list):
        for each in value:
            yield from _inside(each)
    elif isinstance(value, str):
        yield from _inside(_decoded(value))


def _decoded(text: str) -> Any:
    """Return what a text says as JSON, below the first line of a delayed message, or in base64; ``None`` for others."""
    for read in (lambda: text, lambda: text.split("\n", 1)[1], lambda: base64.b64decode(text, validate=True)):
        try:
            found = json.loads(read())
        except (ValueError, IndexError):
            continue
        return found if isinstance(found, dict | list) else None
    return None
