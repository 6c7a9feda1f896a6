"""What tasks note down: a list in shared state, where every worker can write and every page can look."""

from __future__ import annotations

import time

from fleet.app import app

KEY = "guide:journal"
WITHIN_SECONDS = 30


def write(line: str) -> None:
    """Add a line."""
    app.state.client.rpush(KEY, line)


def read(count: int) -> list[str]:
    """Wait until so many lines are there, and take them out."""
    lines: list[str] = []
    deadline = time.monotonic() + WITHIN_SECONDS
    while len(lines) < count:
        line = app.state.client.lpop(KEY)
        if line is not None:
            lines.append(line.decode())
        elif time.monotonic() > deadline:
            raise TimeoutError(f"{len(lines)} lines instead of {count}: {lines}")
        else:
            time.sleep(0.02)
    return lines


def forget() -> None:
    """Take out whatever is there, until nothing has been written for a second."""
    quiet_since = time.monotonic()
    while time.monotonic() < quiet_since + 1:
        if app.state.client.delete(KEY):
            quiet_since = time.monotonic()
        time.sleep(0.02)
